"""The service's state: everything that must survive, behind transactions.

All writing goes through `State.write`: the function it is given sees one consistent state,
and either all of its changes last or none. When `write` returns they are durable. Several
writes may share one commit of the database; one that raises takes no other with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar

from stepline.frozen import frozen
from stepline.model.artifact import Artifact, ArtifactKind, ArtifactName, Build
from stepline.model.file import FileRecord
from stepline.model.ledger import LedgerEntry
from stepline.model.pipeline import Pipeline
from stepline.model.values import Json
from stepline.model.workflow import WorkflowStatus
from stepline.ports.files import Changes
from stepline.ports.state_parts import Intake, References, Values

T = TypeVar("T")


@frozen(kw_only=True)
class StoredWorkflow:
    """A workflow as it is stored.

    Attributes:
        id: Identifier.
        number: In the order of creation; 0 before it is stored.
        pipeline_id: Its pipeline.
        revision: The pipeline's revision that it was made from.
        status: Where it stands.
        waiting: Whether it is held back by a paused pipeline or a limit.
        priority: 1 to 10.
        dedupe_key: No two workflows have the same.
        input_file_id: The file that it was started for; empty if by time.
        protocol_digest: Digest of the pinned protocol.
        scripts: ``namespace/slug:version@digest`` of the pinned task script of each step.
        created_at: ISO 8601, UTC.
        updated_at: ISO 8601, UTC.
        state: The engine's state without the protocol, as plain data.
    """

    id: str
    pipeline_id: str
    revision: int
    status: WorkflowStatus
    waiting: bool
    priority: int
    dedupe_key: str
    input_file_id: str
    protocol_digest: str
    scripts: tuple[str, ...]
    created_at: str
    updated_at: str
    state: Mapping[str, Any]
    number: int = 0


@frozen(kw_only=True)
class StoredAttempt:
    """What came of one attempt at one step.

    Attributes:
        workflow_id: The workflow.
        step: Index of the step.
        attempt: Number of the attempt, from 1.
        kind: How it ended, as `OutcomeKind` has it.
        record: Message, traceback, reads, written files, environment, times; plain data.
        finished_at: ISO 8601, UTC.
    """

    workflow_id: str
    step: int
    attempt: int
    kind: str
    record: Mapping[str, Json]
    finished_at: str


@frozen(kw_only=True)
class QueuedTask:
    """An attempt that is to be made.

    Attributes:
        workflow_id: The workflow.
        step: Index of the step.
        attempt: Number of the attempt.
        pipeline_id: For shares among pipelines.
        priority: 1 to 10.
        due_at: Not before this time, seconds since the epoch.
    """

    workflow_id: str
    step: int
    attempt: int
    pipeline_id: str
    priority: int
    due_at: float = 0.0


@frozen(kw_only=True)
class Lease:
    """The right to make one attempt.

    Attributes:
        task: The attempt.
        owner: Who has the right.
        fence: Grows with each lease of the same task; a result under an older one is refused.
        until: When it ends unless it is extended, seconds since the epoch.
    """

    task: QueuedTask
    owner: str
    fence: int
    until: float


@frozen
class QueueHead:
    """The task of one pipeline that is next, and how many of the pipeline's run.

    Attributes:
        task: First by order of queueing among those that are due.
        running: Leased tasks of the pipeline.
    """

    task: QueuedTask
    running: int


@frozen
class Page(Generic[T]):
    """Part of a list.

    Attributes:
        items: The entries.
        total: Length of the whole list.
        after: What to give as ``after`` for the next part; 0 when this is the last.
    """

    items: Sequence[T]
    total: int
    after: int


class FilesView(Protocol):
    """File versions that are visible."""

    def get(self, file_id: str) -> FileRecord | None:
        """Return the file version with this id; deleted ones too."""

    def version(self, key: str, version: str) -> FileRecord | None:
        """Return this version of the file with this key."""

    def latest(self, key: str) -> FileRecord | None:
        """Return the newest version of the file with this key, unless it was deleted."""

    def search(self, payload: Any, *, overlay: Sequence[FileRecord] = ()) -> dict[str, Any]:
        """Return what `engine.search.search` would for the newest version of every file.

        Args:
            payload: Elasticsearch request body.
            overlay: Versions that take the place of those with the same key.

        Raises:
            UserError: The body is malformed, or uses what is not supported.
        """

    def page(self, *, prefix: str = "", after: int = 0, limit: int = 100) -> Page[FileRecord]:
        """Return newest versions whose keys begin with ``prefix``, in the order of commits."""

    def versions(self, key: str) -> Sequence[FileRecord]:
        """Return all versions of a file, oldest first."""

    def written_by(self, workflow_id: str) -> Sequence[FileRecord]:
        """Return the versions that a workflow wrote, in order."""


class Files(FilesView, Protocol):
    """File versions, to change."""

    def commit(self, changes: Changes) -> None:
        """Make changes visible.

        Raises:
            FileConflict: A precondition does not hold, or a file id exists; nothing was changed.
        """

    def new_label_ids(self, count: int) -> Sequence[int]:
        """Return numbers that no label has or had."""

    def delete(self, file_id: str) -> None:
        """Hide a version from searches and lists; its record stays for provenance."""


class PipelinesView(Protocol):
    """Pipelines."""

    def get(self, name_or_id: str) -> Pipeline | None:
        """Return the newest revision of a pipeline."""

    def revision(self, pipeline_id: str, number: int) -> Pipeline | None:
        """Return one revision."""

    def all(self) -> Sequence[Pipeline]:
        """Return the newest revision of each pipeline, by name."""

    def revisions(self, pipeline_id: str) -> Sequence[Pipeline]:
        """Return all revisions of a pipeline, oldest first."""


class Pipelines(PipelinesView, Protocol):
    """Pipelines, to change."""

    def put(self, pipeline: Pipeline) -> None:
        """Store a new pipeline or a new revision; the same revision again changes its status."""

    def delete(self, pipeline_id: str) -> None:
        """Remove a pipeline; revisions stay for the workflows that were made from them."""


class LedgerView(Protocol):
    """The trigger ledger."""

    def of_file(self, file_id: str) -> Sequence[LedgerEntry]:
        """Return all decisions about a file version, oldest first."""

    def of_pipeline(self, pipeline_id: str, *, limit: int = 100) -> Sequence[LedgerEntry]:
        """Return the newest decisions for a pipeline, newest first."""


class Ledger(LedgerView, Protocol):
    """The trigger ledger, to add to."""

    def add(self, entries: Iterable[LedgerEntry]) -> None:
        """Add decisions."""


class WorkflowsView(Protocol):
    """Workflows and their attempts."""

    def get(self, workflow_id: str) -> StoredWorkflow | None:
        """Return a workflow."""

    def by_dedupe_key(self, key: str) -> StoredWorkflow | None:
        """Return the workflow that was made under a key."""

    def page(
        self,
        *,
        pipeline_id: str = "",
        statuses: Sequence[WorkflowStatus] = (),
        since: str = "",
        until: str = "",
        before: int = 0,
        limit: int = 10,
    ) -> Page[StoredWorkflow]:
        """Return workflows without their ``state``, newest first.

        Args:
            pipeline_id: Only those of this pipeline.
            statuses: Only those with one of these; none for all.
            since: Only those created at or after this time.
            until: Only those created before this time.
            before: Only those with a smaller number, 0 for all; ``Page.after`` is the next.
            limit: Most entries.
        """

    def attempts(self, workflow_id: str) -> Sequence[StoredAttempt]:
        """Return a workflow's finished attempts, by step and attempt."""

    def in_progress(self, pipeline_id: str) -> int:
        """Return how many workflows of a pipeline are in progress."""

    def next_waiting(self, pipeline_id: str, *, limit: int) -> Sequence[StoredWorkflow]:
        """Return waiting workflows of a pipeline: higher priority first, then older ones."""

    def newest_by_file(self, pipeline_id: str) -> Mapping[str, tuple[str, WorkflowStatus]]:
        """Return id and status of the newest workflow of a pipeline for each input file id."""


class Workflows(WorkflowsView, Protocol):
    """Workflows, to change."""

    def add(self, workflow: StoredWorkflow) -> bool:
        """Store a new workflow; False where there is one with its dedupe key already."""

    def update(self, workflow: StoredWorkflow) -> None:
        """Store a workflow's new status and state."""

    def add_attempt(self, attempt: StoredAttempt) -> None:
        """Store what came of an attempt."""


class Queue(Protocol):
    """Attempts that are to be made, and who makes them."""

    def put(self, task: QueuedTask) -> None:
        """Queue an attempt; the same again changes when it is due and ends its lease."""

    def heads(self, now: float) -> Sequence[QueueHead]:
        """Return the next due task of each pipeline that has one."""

    def next_due(self, now: float) -> float | None:
        """Return when the next task that is not due yet will be, or None."""

    def lease(self, task: QueuedTask, *, owner: str, until: float) -> Lease:
        """Lease a queued attempt."""

    def put_leased(self, task: QueuedTask, *, owner: str, until: float) -> Lease:
        """Queue an attempt, not queued yet, that its owner makes at once."""

    def finish(self, lease: Lease) -> bool:
        """Remove an attempt for who has it; False, and nothing done, where the lease is over."""

    def holds(self, lease: Lease) -> bool:
        """Return whether a lease is the newest one of its task, and the task still queued."""

    def remove(self, workflow_id: str, *, step: int, attempt: int) -> None:
        """Remove an attempt from the queue, whoever has it."""

    def extend(self, owner: str, *, until: float) -> int:
        """Extend all leases of an owner; return how many there are."""

    def release_expired(self, now: float) -> int:
        """Make tasks whose leases have ended free again; return how many."""

    def release_owned(self, *, but: str) -> int:
        """Make tasks free that others than ``but``, all dead, have leased; return how many."""

    def of_workflow(self, workflow_id: str) -> Sequence[QueuedTask]:
        """Return the queued and leased attempts of a workflow."""


class ArtifactsView(Protocol):
    """Published versions and builds."""

    def get(self, name: ArtifactName) -> Artifact | None:
        """Return a published version."""

    def list(
        self, kind: ArtifactKind, *, namespace: str = "", slug: str = ""
    ) -> Sequence[Artifact]:
        """Return published versions, sorted by namespace, slug and order of versions."""

    def archive_of(self, digest: str) -> str | None:
        """Return the blob of the archive that a digest came from, also of a moved version."""

    def build(self, build_id: str) -> Build | None:
        """Return a build."""

    def build_log(self, build_id: str, *, after: int = 0) -> Sequence[tuple[int, str, str]]:
        """Return number, time and text of the lines of a build's log after a number."""

    def unfinished_builds(self) -> Sequence[Build]:
        """Return builds in progress, oldest first."""


class Artifacts(ArtifactsView, Protocol):
    """Published versions and builds, to change."""

    def publish(self, artifact: Artifact) -> None:
        """Point a version at a digest; the digest that it had stays known."""

    def delete(self, name: ArtifactName) -> None:
        """Remove a version; its digest stays known."""

    def put_build(self, build: Build) -> None:
        """Store a build, or its new status."""

    def log_build(self, build_id: str, lines: Sequence[tuple[str, str]]) -> None:
        """Add lines, each with its time, to a build's log."""


class StateView(Protocol):
    """One consistent state, to read."""

    @property
    def files(self) -> FilesView:
        """File versions."""

    @property
    def pipelines(self) -> PipelinesView:
        """Pipelines."""

    @property
    def ledger(self) -> LedgerView:
        """The trigger ledger."""

    @property
    def workflows(self) -> WorkflowsView:
        """Workflows."""

    @property
    def queue(self) -> Queue:
        """Attempts to be made."""

    @property
    def artifacts(self) -> ArtifactsView:
        """Published versions and builds."""

    @property
    def values(self) -> Values:
        """Small named values."""

    @property
    def intake(self) -> Intake:
        """Files taken from watched folders."""

    @property
    def references(self) -> References:
        """What refers to blobs."""


class Transaction(Protocol):
    """One consistent state, to change."""

    @property
    def files(self) -> Files:
        """File versions."""

    @property
    def pipelines(self) -> Pipelines:
        """Pipelines."""

    @property
    def ledger(self) -> Ledger:
        """The trigger ledger."""

    @property
    def workflows(self) -> Workflows:
        """Workflows."""

    @property
    def queue(self) -> Queue:
        """Attempts to be made."""

    @property
    def artifacts(self) -> Artifacts:
        """Published versions and builds."""

    @property
    def values(self) -> Values:
        """Small named values."""

    @property
    def intake(self) -> Intake:
        """Files taken from watched folders."""


class State(Protocol):
    """The service's state; several threads may use it."""

    def write(self, act: Callable[[Transaction], T]) -> T:
        """Do something in a transaction and return its result, once that is durable.

        Args:
            act: Must be quick, do nothing but use the transaction, and bear to be done again.

        Raises:
            Exception: Whatever ``act`` raised; none of its changes last.
            PlatformError: The state cannot be written: the disk is full, the database is
                damaged, read-only or closed.
        """

    def read(self) -> AbstractContextManager[StateView]:
        """Return one consistent state to read, for as long as the context lasts.

        Raises:
            PlatformError: The state cannot be read.
        """

    def close(self) -> None:
        """Finish the writes that were begun, and let go of everything."""

"""Workflows of the service: shown, cancelled, retried, made anew for files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from stepline.app.service.flow import Flow, Moved
from stepline.app.service.newest import newest_files
from stepline.app.service.times import stored_time
from stepline.engine.events import CancelRequested, Event, RetryRequested
from stepline.engine.triggers import decide, facts_of
from stepline.errors import ArtifactNotFound, UserError
from stepline.frozen import frozen
from stepline.model.file import FileRecord
from stepline.model.ledger import Decision, EventKind, LedgerEntry
from stepline.model.pipeline import Pipeline
from stepline.model.workflow import WorkflowStatus
from stepline.ports.logs import LogPage, LogStore
from stepline.ports.state import (
    Page,
    State,
    StateView,
    StoredAttempt,
    StoredWorkflow,
    Transaction,
)

_PAGE = 1000


class WorkflowNotFound(ArtifactNotFound):
    """There is no such workflow."""


@frozen(kw_only=True)
class WorkflowDetails:
    """A workflow with all that came of it.

    Attributes:
        stored: The workflow.
        pipeline: The revision of the pipeline that it was made from, unless that is gone.
        attempts: Finished attempts.
        written: Files that it wrote.
    """

    stored: StoredWorkflow
    pipeline: Pipeline | None
    attempts: Sequence[StoredAttempt]
    written: Sequence[FileRecord]


class WorkflowService:
    """The workflows.

    Args:
        state: The service's state.
        flow: The rules.
        logs: Output of tasks.
        new_id: Returns an identifier that nothing else has.
        changed: Called after a change that may have queued tasks.
        settle: Does what follows from an event beyond the state.
    """

    def __init__(
        self,
        state: State,
        flow: Flow,
        *,
        logs: LogStore,
        new_id: Callable[[], str],
        changed: Callable[[], None],
        settle: Callable[[Moved], None],
    ) -> None:
        self._state = state
        self._flow = flow
        self._logs = logs
        self._new_id = new_id
        self._changed = changed
        self._settle = settle

    def page(self, **wanted: Any) -> Page[StoredWorkflow]:
        """Return workflows newest first; arguments as `WorkflowsView.page` has them.

        Raises:
            UserError: ``since`` or ``until`` is no time.
        """
        for name in {"since", "until"} & wanted.keys():
            wanted[name] = stored_time(wanted[name])
        with self._state.read() as view:
            return view.workflows.page(**wanted)

    def get(self, workflow_id: str) -> StoredWorkflow:
        """Return a workflow.

        Raises:
            WorkflowNotFound: There is none with this id.
        """
        with self._state.read() as view:
            return _found(view, workflow_id)

    def details(self, workflow_id: str) -> WorkflowDetails:
        """Return a workflow with its attempts and files.

        Raises:
            WorkflowNotFound: There is none with this id.
        """
        with self._state.read() as view:
            stored = _found(view, workflow_id)
            return WorkflowDetails(
                stored=stored,
                pipeline=view.pipelines.revision(stored.pipeline_id, stored.revision),
                attempts=view.workflows.attempts(workflow_id),
                written=view.files.written_by(workflow_id),
            )

    def log(
        self, workflow_id: str, *, step: int, attempt: int, after: int = 0, limit: int = 1000
    ) -> LogPage:
        """Return output of one attempt.

        Raises:
            WorkflowNotFound: There is none with this id.
        """
        self.get(workflow_id)
        return self._logs.read(workflow_id, step=step, attempt=attempt, after=after, limit=limit)

    def cancel(self, workflow_id: str, *, reason: str = "") -> StoredWorkflow:
        """End a workflow; what its finished steps wrote stays.

        Raises:
            WorkflowNotFound: There is none with this id.
            UserError: It has ended already.
        """
        return self._send(workflow_id, CancelRequested(reason), can=_refuse_finished)

    def retry(self, workflow_id: str) -> StoredWorkflow:
        """Let a failed or cancelled workflow go on from the step that ended it.

        Raises:
            WorkflowNotFound: There is none with this id.
            UserError: It has not failed.
        """
        return self._send(workflow_id, RetryRequested(), can=_refuse_not_failed)

    def process(self, pipeline: Pipeline, file_ids: Sequence[str]) -> list[LedgerEntry]:
        """Start a pipeline for files, whatever its condition says, each for the newest version.

        Raises:
            UserError: A file does not exist; nothing was started.
        """

        def act(tx: Transaction) -> list[LedgerEntry]:
            records = [tx.files.get(file_id) for file_id in file_ids]
            missing = [i for i, record in zip(file_ids, records, strict=True) if record is None]
            if missing:
                raise ArtifactNotFound(f"there is no file with the id '{missing[0]}'")
            entries = []
            for record in records:
                newest = tx.files.latest(record.pointer.key) if record else None
                entry = self._request(tx, pipeline, newest or record)
                if entry is not None:
                    entries.append(entry)
            return entries

        entries = self._state.write(act)
        self._changed()
        return entries

    def reprocess(
        self,
        pipeline: Pipeline,
        *,
        kinds: frozenset[str],
        since: str = "",
        until: str = "",
        dry_run: bool = False,
    ) -> list[FileRecord]:
        """Start a pipeline again for files that match its condition.

        A file whose newest workflow of the pipeline is still on its way is left alone, so
        that giving the same command twice makes no workflow twice.

        Args:
            pipeline: The pipeline.
            kinds: ``unprocessed``, ``failed``, ``completed``: the state of the file's newest
                workflow of this pipeline.
            since: Only files created at or after this time, ISO 8601.
            until: Only files created before this time.
            dry_run: Whether to start nothing.

        Returns:
            The files.

        Raises:
            UserError: A time is none.
        """
        times = {"since": stored_time(since), "until": stored_time(until)}
        chosen = self._chosen(pipeline, kinds=kinds, **times)
        for start in range(0, 0 if dry_run else len(chosen), _PAGE):
            part = chosen[start : start + _PAGE]
            self._state.write(partial(self._again, pipeline=pipeline, records=part, kinds=kinds))
            self._changed()
        return chosen

    def provenance(self, file_id: str) -> dict[str, Any]:
        """Return how a file version came to be, back to the files that arrived.

        Raises:
            ArtifactNotFound: There is no such file.
        """
        with self._state.read() as view:
            record = view.files.get(file_id)
            if record is None:
                raise ArtifactNotFound(f"there is no file with the id '{file_id}'")
            return _origin(view, record, seen=set())

    def _chosen(
        self, pipeline: Pipeline, *, kinds: frozenset[str], since: str, until: str
    ) -> list[FileRecord]:
        def is_wanted(record: FileRecord) -> bool:
            if not since <= record.created_at or (until and record.created_at >= until):
                return False
            _, status = newest.get(record.pointer.file_id, ("", None))
            if _kind_of(status) not in kinds:
                return False
            decided = decide(
                _enabled(pipeline), EventKind.FILE, record=record, facts=facts_of(record)
            )
            return decided is not None and decided.kind is Decision.FIRED

        with self._state.read() as view:
            newest = view.workflows.newest_by_file(pipeline.id)
            return [record for record in newest_files(view.files) if is_wanted(record)]

    def _again(
        self,
        tx: Transaction,
        *,
        pipeline: Pipeline,
        records: Sequence[FileRecord],
        kinds: frozenset[str],
    ) -> None:
        """Start it for files that are still in one of the states; another may have done so."""
        newest = tx.workflows.newest_by_file(pipeline.id)
        for record in records:
            _, status = newest.get(record.pointer.file_id, ("", None))
            if _kind_of(status) in kinds:
                self._request(tx, pipeline, record)

    def _request(
        self, tx: Transaction, pipeline: Pipeline, record: FileRecord | None
    ) -> LedgerEntry | None:
        return self._flow.request(
            tx, pipeline, kind=EventKind.REQUEST, key=self._new_id(), record=record
        )

    def _send(
        self, workflow_id: str, event: Event, *, can: Callable[[StoredWorkflow], None]
    ) -> StoredWorkflow:
        def act(tx: Transaction) -> Moved:
            stored = _found(tx, workflow_id)
            can(stored)
            return self._flow.move(tx, stored, event=event)

        moved = self._state.write(act)
        self._settle(moved)
        self._changed()
        return moved.stored


def _enabled(pipeline: Pipeline) -> Pipeline:
    """Return a pipeline as if it were enabled: a person asks for what it would do."""
    from stepline.model.pipeline import PipelineStatus

    return replace(pipeline, status=PipelineStatus.ENABLED)


def _found(view: StateView | Transaction, workflow_id: str) -> StoredWorkflow:
    stored = view.workflows.get(workflow_id)
    if stored is None:
        raise WorkflowNotFound(f"there is no workflow with the id '{workflow_id}'")
    return stored


def _refuse_finished(stored: StoredWorkflow) -> None:
    if stored.status.final:
        raise UserError(f"the workflow has ended already: {stored.status.value}")


def _refuse_not_failed(stored: StoredWorkflow) -> None:
    if stored.status not in (WorkflowStatus.FAILED, WorkflowStatus.CANCELLED):
        raise UserError(
            f"only a workflow that failed or was cancelled can be retried; "
            f"this one is {stored.status.value}"
        )


def _kind_of(status: WorkflowStatus | None) -> str:
    if status is None:
        return "unprocessed"
    if status in (WorkflowStatus.FAILED, WorkflowStatus.CANCELLED):
        return "failed"
    return "completed" if status is WorkflowStatus.COMPLETED else "on its way"


def _origin(view: StateView, record: FileRecord, *, seen: set[str]) -> dict[str, Any]:
    """Return a file with the workflow that wrote it and what that one read."""
    file_id = record.pointer.file_id
    found: dict[str, Any] = {
        "fileId": file_id,
        "fileKey": record.pointer.key,
        "sha256": record.sha256,
        "createdAt": record.created_at,
    }
    workflow_id = record.provenance.get("workflowId")
    stored = view.workflows.get(workflow_id) if isinstance(workflow_id, str) else None
    if stored is None or file_id in seen:
        return found
    seen.add(file_id)
    attempts = [
        attempt
        for attempt in view.workflows.attempts(stored.id)
        if file_id in _list(attempt.record.get("written"))
    ]
    read = {pointer: None for attempt in attempts for pointer in _read_files(attempt)}
    sources = [view.files.get(each) for each in dict.fromkeys([stored.input_file_id, *read])]
    found["workflow"] = {
        "workflowId": stored.id,
        "pipelineId": stored.pipeline_id,
        "pipelineRevision": stored.revision,
        "protocolDigest": stored.protocol_digest,
        "steps": [
            {"step": a.step, "attempt": a.attempt, "taskScript": stored.scripts[a.step]}
            for a in attempts
        ],
    }
    found["from"] = [_origin(view, each, seen=seen) for each in sources if each]
    return found


def _read_files(attempt: StoredAttempt) -> list[str]:
    entries = _list(attempt.record.get("reads"))
    return [e["file"]["fileId"] for e in entries if e.get("kind") == "file"]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

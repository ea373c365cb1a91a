"""Removal of what nobody needs any more, and proof that the bytes of the rest are whole.

All of it may be done while everything else goes on, and may end at any moment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from stepline.app.code_removal import remove_unused_code
from stepline.app.registry import Registry
from stepline.app.service.plans import artifact_name
from stepline.errors import ArtifactNotFound, PlatformError, SteplineError, UserError
from stepline.frozen import frozen
from stepline.model.artifact import ArtifactKind
from stepline.model.workflow import WorkflowStatus
from stepline.ports.durable_files import DurableFileStore
from stepline.ports.executor import Executor, ScriptVersion
from stepline.ports.freed import Freed
from stepline.ports.logs import LogStore
from stepline.ports.state import State, StateView
from stepline.ports.state_parts import BlobUsers

MARGIN_S = 24 * 3600.0
"""Far longer than passes between storing something and committing what refers to it."""

_PAGE = 1000
_UNDER_WAY = tuple(status for status in WorkflowStatus if not status.final)


@frozen(kw_only=True)
class CleaningPorts:
    """What a cleaning works with.

    Attributes:
        state: The service's state.
        store: The files' bytes, and uploads.
        logs: Output of tasks.
        executor: Has environments.
        registry: Published artifacts.
        cache_dir: Folder of copies of task scripts.
        clock: Returns seconds since the epoch.
    """

    state: State
    store: DurableFileStore
    logs: LogStore
    executor: Executor
    registry: Registry
    cache_dir: Path
    clock: Callable[[], float]


@frozen
class Checked:
    """A blob that was read.

    Attributes:
        blob: Its name.
        problem: What is wrong with it; empty if all is well.
        users: What refers to it; empty if all is well.
    """

    blob: str
    problem: str = ""
    users: BlobUsers = BlobUsers((), 0, ())


class Cleaning:
    """Removes what nobody needs, and verifies what is kept.

    Args:
        ports: What it works with.
    """

    def __init__(self, ports: CleaningPorts) -> None:
        self._ports = ports
        self._one_at_a_time = threading.Lock()

    def clean(self, *, before: float, dry_run: bool = False) -> Iterator[tuple[str, Freed | str]]:
        """Remove what nobody needs, one kind after the other.

        Records of files, workflows and decisions stay, and whatever is younger than a day.

        Args:
            before: Seconds since the epoch: when workflows had ended whose logs go, and when
                environments and copies of task scripts that go were used last.
            dry_run: Whether to remove nothing, and only tell what would be.

        Yields:
            Each kind, and what it freed; or in words why that is not known to the end.

        Raises:
            UserError: Another cleaning is under way.
        """
        if not self._one_at_a_time.acquire(blocking=False):
            raise UserError("another cleaning is under way", hint="wait for its end")
        try:
            unused = min(before, self._ports.clock() - MARGIN_S)
            acts: dict[str, Callable[[], Freed]] = {
                # Before blobs: an upload that was given up refers to none any more.
                "uploads": lambda: self._ports.store.uploads.delete_given_up(dry_run=dry_run),
                "logs": lambda: self._logs(before=before, dry_run=dry_run),
                "environments": lambda: self._environments(before=unused, dry_run=dry_run),
                "code": lambda: self._code(before=unused, dry_run=dry_run),
                "blobs": lambda: self._blobs(dry_run=dry_run),
            }
            for kind, act in acts.items():
                try:
                    yield kind, act()
                except PlatformError as error:
                    yield kind, str(error)
        finally:
            self._one_at_a_time.release()

    def verify(self, file_ids: Sequence[str] = ()) -> Iterator[Checked]:
        """Read blobs, one after the other, and give each with what is wrong with it.

        Args:
            file_ids: Versions whose bytes to read; none for everything that is referred to.

        Raises:
            ArtifactNotFound: There is no such file version; nothing was read.
        """
        return self._checked(self._blobs_of(file_ids) if file_ids else self._all_blobs())

    def _checked(self, blobs: Iterable[str]) -> Iterator[Checked]:
        for blob in blobs:
            problem = self._problem(blob)
            if not problem:
                yield Checked(blob)
                continue
            with self._ports.state.read() as view:
                users = view.references.users(blob)
            yield Checked(blob, problem, users)

    # Kinds.

    def _blobs(self, *, dry_run: bool) -> Freed:
        def in_use(names: Sequence[str]) -> frozenset[str]:
            with self._ports.state.read() as view:
                return view.references.in_use(names)

        return self._ports.store.delete_unreferenced(in_use, older_than_s=MARGIN_S, dry_run=dry_run)

    def _logs(self, *, before: float, dry_run: bool) -> Freed:
        freed = Freed()
        for workflow_id in self._ports.logs.workflows():
            if self._ended_before(workflow_id, before):
                # One that is retried in this moment writes a new log, which stays.
                freed += self._ports.logs.delete(workflow_id, before=before, dry_run=dry_run)
        return freed

    def _ended_before(self, workflow_id: str, before: float) -> bool:
        with self._ports.state.read() as view:
            stored = view.workflows.get(workflow_id)
        if stored is None or not stored.status.final:
            return False
        return datetime.fromisoformat(stored.updated_at).timestamp() < before

    def _code(self, *, before: float, dry_run: bool) -> Freed:
        with self._ports.state.read() as view:
            in_use = _digests(view)
        cache = self._ports.cache_dir
        return remove_unused_code(in_use, cache, before=before, dry_run=dry_run)

    def _environments(self, *, before: float, dry_run: bool) -> Freed:
        with self._ports.state.read() as view:
            pins = _pins(view)
        versions = [version for pin in pins if (version := self._version(pin))]
        return self._ports.executor.remove_unused(versions, before=before, dry_run=dry_run)

    def _version(self, pin: str) -> ScriptVersion | None:
        """Return a task script; None for one that nobody can run any more."""
        name, _, digest = pin.partition("@")
        try:
            named = artifact_name(ArtifactKind.TASK_SCRIPT, name)
            return self._ports.registry.script_version(digest, named)
        except SteplineError:
            return None

    # Blobs to verify.

    def _all_blobs(self) -> Iterator[str]:
        after = ""
        while True:
            with self._ports.state.read() as view:
                names = view.references.blobs(after=after, limit=_PAGE)
            yield from names
            if not names:
                return
            after = names[-1]

    def _blobs_of(self, file_ids: Sequence[str]) -> Sequence[str]:
        with self._ports.state.read() as view:
            records = {file_id: view.files.get(file_id) for file_id in file_ids}
        for file_id, record in records.items():
            if record is None:
                raise ArtifactNotFound(f"there is no file with the id '{file_id}'")
        return list(dict.fromkeys(record.blob for record in records.values() if record))

    def _problem(self, blob: str) -> str:
        store = self._ports.store
        try:
            if store.verify(blob):
                return ""
        except PlatformError as error:
            return f"unreadable: {error.what}"
        try:
            store.open(blob).close()
        except PlatformError:
            return "missing"
        return "damaged"


def _pins(view: StateView) -> frozenset[str]:
    """Return the pins of task scripts that are published, or that workflows go on with."""
    published = view.artifacts.list(ArtifactKind.TASK_SCRIPT)
    pins = {f"{each.name}@{each.digest}" for each in published}
    before = 0
    while True:
        page = view.workflows.page(statuses=_UNDER_WAY, before=before, limit=_PAGE)
        pins.update(pin for stored in page.items for pin in stored.scripts)
        before = page.after
        if not before:
            return frozenset(pins)


def _digests(view: StateView) -> frozenset[str]:
    """Return digests of all that is published, or that workflows go on with.

    Protocols of workflows that go on need no copy: one that is gone is made anew.
    """
    protocols = view.artifacts.list(ArtifactKind.PROTOCOL)
    scripts = {pin.partition("@")[2] for pin in _pins(view)}
    return frozenset(scripts.union(each.digest for each in protocols))

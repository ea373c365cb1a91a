"""Taking in files of watched folders: each state of a file once, and never half-written."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import field

from stepline.app.service.files import FileService, NewFile, check_new_file
from stepline.errors import UploadError
from stepline.frozen import frozen
from stepline.model.file import FileRecord
from stepline.ports.files import Blob, FileStore
from stepline.ports.state import State, Transaction
from stepline.ports.watcher import FoundFile

_MOST_FAULTS = 20


@frozen(kw_only=True)
class WatchedFolder:
    """A folder whose files are taken in.

    Attributes:
        folder: The folder.
        source_id: What its files are said to come from.
        source_type: Kind of that.
        source_name: For people.
        labels: Names and values that each file gets.
    """

    folder: str
    source_id: str
    source_type: str = "unknown"
    source_name: str = ""
    labels: tuple[tuple[str, str], ...] = field(default=())


class Intake:
    """Takes in what a watcher of one folder finds.

    Args:
        watched: The folder.
        files: Where files go.
        state: The service's state.
        store: Where bytes go.
        new_id: Returns an identifier that nothing else has.
        changed: Called after a change that may have queued tasks.
        report: Takes a line about a file that cannot be taken in.
    """

    def __init__(
        self,
        watched: WatchedFolder,
        files: FileService,
        *,
        state: State,
        store: FileStore,
        new_id: Callable[[], str],
        changed: Callable[[], None],
        report: Callable[[str], None],
    ) -> None:
        self._watched = watched
        self._files = files
        self._state = state
        self._store = store
        self._new_id = new_id
        self._changed = changed
        self._report = report
        self._refused: dict[str, str] = {}

    @property
    def faults(self) -> list[str]:
        """Which files cannot be taken in, and why; of many, the newest ones."""
        refused = dict(self._refused)  # at once: the watcher's thread changes it
        for path in refused:
            if not os.path.exists(path):
                self._refused.pop(path, None)
        left = [path for path in refused if os.path.exists(path)]
        return [f"'{path}' cannot be taken in: {refused[path]}" for path in left]

    def take(self, found: Sequence[FoundFile]) -> None:
        """Take in files; those that were taken before, or are changing, are left alone.

        Raises:
            PlatformError: They cannot be kept now; nothing was taken.
        """
        with self._state.read() as view:
            known = view.intake.taken([file.key for file in found])
        fresh = [file for file in found if file.key not in known]
        if not fresh:
            return
        staging = self._store.staging()
        try:
            staged = [(file, self._staged(file, staging.add)) for file in fresh]
            whole = [(file, blob) for file, blob in staged if blob and _is_unchanged(file)]
            staging.publish()
            self._state.write(lambda tx: self._commit(tx, whole))
        finally:
            staging.discard()
        self._changed()

    def _staged(self, file: FoundFile, add: Callable[[str], Blob]) -> Blob | None:
        """Copy a file's bytes; None if it is gone, or cannot be one of the service's."""
        try:
            check_new_file(self._new(file))
            return add(file.path)
        except UploadError as error:
            if os.path.exists(file.path):
                self._refuse(file.path, str(error))
            return None

    def _refuse(self, path: str, why: str) -> None:
        if path not in self._refused:
            self._report(f"'{path}' cannot be taken in: {why}")
        self._refused[path] = why
        while len(self._refused) > _MOST_FAULTS:
            self._refused.pop(next(iter(self._refused)), None)

    def _commit(self, tx: Transaction, whole: Sequence[tuple[FoundFile, Blob]]) -> None:
        for file, blob in whole:
            new = self._new(file, file_id=self._new_id())
            newest = tx.files.latest(self._files.key_of(new))
            same = newest is not None and newest.sha256 == blob.sha256
            if not tx.intake.take(file.key, file_id=_id_of(newest) if same else new.file_id):
                continue
            if not same:
                self._files.take_in(tx, new, blob=blob, fresh=True)

    def _new(self, file: FoundFile, *, file_id: str = "") -> NewFile:
        watched = self._watched
        return NewFile(
            path=file.relative,
            source_id=watched.source_id,
            source_type=watched.source_type,
            source_name=watched.source_name or watched.folder,
            labels=watched.labels,
            file_id=file_id,
        )


def _is_unchanged(file: FoundFile) -> bool:
    try:
        status = os.stat(file.path)
    except OSError:
        return False  # it was whole when it was copied, and offered; who removed it wants it gone
    return (status.st_ino, status.st_mtime_ns, status.st_size) == (
        file.inode,
        file.mtime_ns,
        file.size,
    )


def _id_of(record: FileRecord | None) -> str:
    return record.pointer.file_id if record else ""

"""Files as one attempt sees them: what is visible to all, and what it staged itself.

New versions, labels and metadata of an attempt are its own until its `changes` are made
visible, all in one go or none. A retried attempt so leaves no doubles.
"""

from __future__ import annotations

from typing import Any

from stepline.errors import PlatformError
from stepline.model.file import FileRecord, Label, numbered_labels
from stepline.ports.files import (
    Blob,
    Changes,
    FileCatalog,
    FileConflict,
    FileStore,
    LabelEdit,
    Precondition,
)


class BytesLost(PlatformError):
    """The store could not take an attempt's bytes."""


class AttemptFiles:
    """The files of one attempt; not to be used by several threads at once.

    Args:
        catalog: What is visible to all.
        store: Where bytes are.

    Attributes:
        bytes: What can be read: the store, and the attempt's own staging area.
        taken_bytes: Sum of the sizes of all files that were taken in.
    """

    def __init__(self, catalog: FileCatalog, store: FileStore) -> None:
        self._catalog = catalog
        self.store = store
        self.bytes = store.staging()
        self.taken_bytes = 0
        self._written: dict[str, FileRecord] = {}
        self._versions: dict[tuple[str, str], str] = {}
        self._newest: dict[str, str] = {}
        self._edits: dict[str, LabelEdit] = {}
        self._preconditions: list[Precondition] = []

    def get(self, file_id: str) -> FileRecord | None:
        """Return the file version with this id."""
        return self._written.get(file_id) or self._edited(self._catalog.get(file_id))

    def version(self, key: str, version: str) -> FileRecord | None:
        """Return this version of the file with this key."""
        if (key, version) in self._versions:
            return self._written[self._versions[key, version]]
        return self._edited(self._catalog.version(key, version))

    def latest(self, key: str) -> FileRecord | None:
        """Return the newest version of the file with this key."""
        if key in self._newest:
            return self._written[self._newest[key]]
        return self._edited(self._catalog.latest(key))

    def search(self, payload: Any) -> dict[str, Any]:
        """Search the newest version of every file, with what the attempt staged.

        Raises:
            UserError: The payload is malformed, or uses what is not supported.
        """
        edited = [self.get(file_id) for file_id in self._edits]
        own = [self._written[file_id] for file_id in self._newest.values()]
        newest = [one for one in edited if one and self._is_newest(one)]
        return self._catalog.search(payload, overlay=[*newest, *own])

    def take(self, path: str) -> Blob:
        """Move a file into the attempt's staging area.

        Raises:
            UploadError: The path is not a plain file.
        """
        blob = self.bytes.add(path, move=True)
        self.taken_bytes += blob.size
        return blob

    def write(self, record: FileRecord) -> None:
        """Stage a new file version, of bytes that were taken in or are in the store."""
        file_id, key = record.pointer.file_id, record.pointer.key
        self._written[file_id] = record
        self._versions[key, record.pointer.version] = file_id
        self._newest.pop(key, None)
        self._newest[key] = file_id

    def require(self, key: str, sha256: str | None) -> None:
        """Check a precondition now, and again when the attempt is committed.

        Args:
            key: Key of the file.
            sha256: Digest that the newest version must have; None: no such file.

        Raises:
            FileConflict: It does not hold.
        """
        precondition = Precondition(key, sha256)
        if not precondition.holds(self.latest(key)):
            raise FileConflict(key)
        # Over its own write the attempt cannot lose to anybody.
        if key not in self._newest:
            self._preconditions.append(precondition)

    def new_labels(self, pairs: list[tuple[str, str]]) -> tuple[Label, ...]:
        """Return labels with numbers of their own, one per pair of name and value."""
        numbers = self._catalog.new_label_ids(len(pairs))
        return numbered_labels(pairs, numbers)

    def add_labels(
        self, file_id: str, pairs: list[tuple[str, str]], *, silent: bool = False
    ) -> FileRecord | None:
        """Stage labels for a file; pairs that it has already are left out.

        Args:
            file_id: The file version.
            pairs: Name and value of each.
            silent: Whether that may start no pipeline.
        """
        record = self.get(file_id)
        if record is None:
            return None
        present = {(label.name, label.value) for label in record.labels}
        added = self.new_labels([pair for pair in pairs if pair not in present])
        return self._edit(record, LabelEdit(file_id, added=added, silent=silent))

    def remove_labels(
        self, file_id: str, numbers: tuple[int, ...], *, silent: bool = False
    ) -> FileRecord | None:
        """Stage the removal of labels from a file, as `add_labels` does their addition."""
        record = self.get(file_id)
        if record is None:
            return None
        return self._edit(record, LabelEdit(file_id, removed=numbers, silent=silent))

    def changes(self) -> Changes:
        """Return all that a commit is to make visible."""
        return Changes(
            files=tuple(self._written.values()),
            labels=tuple(edit for edit in self._edits.values() if edit.added or edit.removed),
            preconditions=tuple(self._preconditions),
        )

    def publish(self) -> None:
        """Hand the bytes to the store, after which `changes` may be made visible.

        Raises:
            FileConflict: A precondition holds no longer; asked here too, so that a lost race
                leaves no bytes in the store.
            UploadError: Bytes are no longer those that were taken in.
            BytesLost: There is no place for the bytes.
        """
        for precondition in self._preconditions:
            if not precondition.holds(self._catalog.latest(precondition.key)):
                raise FileConflict(precondition.key)
        try:
            self.bytes.publish()
        except PlatformError as error:
            raise BytesLost(error.what, hint=error.hint, retryable=error.retryable) from error

    def commit(self) -> None:
        """Make everything visible, in one go.

        Raises:
            FileConflict, UploadError, BytesLost: Nothing became visible.
        """
        try:
            self.publish()
            self._catalog.commit(self.changes())
        finally:
            self.discard()

    def discard(self) -> None:
        """Forget everything that was staged, and remove its bytes."""
        self.bytes.discard()
        for staged in (self._written, self._versions, self._newest, self._edits):
            staged.clear()
        self._preconditions.clear()
        self.taken_bytes = 0

    def _is_newest(self, record: FileRecord) -> bool:
        newest = self.latest(record.pointer.key)
        return newest is not None and newest.pointer == record.pointer

    def _edit(self, record: FileRecord, edit: LabelEdit) -> FileRecord:
        file_id = edit.file_id
        if file_id in self._written:
            self._written[file_id] = edit.apply(record)
            return self._written[file_id]
        before = self._edits.get(file_id)
        if before is not None:
            kept = tuple(label for label in before.added if label.id not in edit.removed)
            self._edits[file_id] = LabelEdit(
                file_id,
                added=kept + edit.added,
                removed=before.removed + edit.removed,
                silent=before.silent and edit.silent,
            )
        else:
            self._edits[file_id] = edit
        return edit.apply(record)

    def _edited(self, record: FileRecord | None) -> FileRecord | None:
        edit = self._edits.get(record.pointer.file_id) if record else None
        return edit.apply(record) if record and edit else record

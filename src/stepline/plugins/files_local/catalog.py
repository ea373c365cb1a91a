"""A catalog of files in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stepline.model.file import FileRecord
from stepline.ports.files import Changes, FileConflict


class MemoryCatalog:
    """Knows file versions for as long as it lives; several threads may use it.

    Args:
        records: What is visible from the start.
    """

    def __init__(self, records: Iterable[FileRecord] = ()) -> None:
        self._lock = threading.RLock()
        self._by_id: dict[str, FileRecord] = {}
        self._versions: dict[tuple[str, str], str] = {}
        self._newest: dict[str, str] = {}
        self._next_label = 1
        for record in records:
            self._add(record)

    def get(self, file_id: str) -> FileRecord | None:
        """Return the file version with this id."""
        return self._by_id.get(file_id)

    def version(self, key: str, version: str) -> FileRecord | None:
        """Return this version of the file with this key."""
        with self._lock:
            return self._by_id.get(self._versions.get((key, version), ""))

    def latest(self, key: str) -> FileRecord | None:
        """Return the newest version of the file with this key."""
        with self._lock:
            return self._by_id.get(self._newest.get(key, ""))

    def newest(self) -> Iterator[FileRecord]:
        """Yield the newest version of every file, in the order of their commits."""
        with self._lock:
            records = [self._by_id[file_id] for file_id in self._newest.values()]
        yield from records

    def search(self, payload: Any, *, overlay: Sequence[FileRecord] = ()) -> dict[str, Any]:
        """Return what a search finds among the newest versions of all files."""
        from stepline.engine.search import document, search

        replaced = {record.pointer.key for record in overlay}
        kept = [record for record in self.newest() if record.pointer.key not in replaced]
        return search(payload, [document(record) for record in (*kept, *overlay)])

    def new_label_ids(self, count: int) -> Sequence[int]:
        """Return numbers that no label has or had."""
        with self._lock:
            first = self._next_label
            self._next_label += count
        return range(first, first + count)

    def commit(self, changes: Changes) -> None:
        """Make changes visible, all of them at once.

        Raises:
            FileConflict: A precondition does not hold; nothing was changed.
        """
        with self._lock:
            self._check(changes)
            for record in changes.files:
                self._add(record)
            for edit in changes.labels:
                if edit.file_id in self._by_id:
                    self._by_id[edit.file_id] = edit.apply(self._by_id[edit.file_id])

    def _check(self, changes: Changes) -> None:
        for precondition in changes.preconditions:
            if not precondition.holds(self.latest(precondition.key)):
                raise FileConflict(precondition.key)
        for record in changes.files:
            if record.pointer.file_id in self._by_id:
                raise FileConflict(record.pointer.key)

    def _add(self, record: FileRecord) -> None:
        pointer = record.pointer
        self._by_id[pointer.file_id] = record
        self._versions[pointer.key, pointer.version] = pointer.file_id
        self._newest.pop(pointer.key, None)
        self._newest[pointer.key] = pointer.file_id
        highest = max((label.id for label in record.labels), default=0)
        self._next_label = max(self._next_label, highest + 1)

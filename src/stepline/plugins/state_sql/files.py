"""File versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from stepline.model.file import FileRecord
from stepline.plugins.state_sql.file_index import FileIndex
from stepline.plugins.state_sql.file_search import FileSearch, Totals
from stepline.plugins.state_sql.records import COLUMNS, labels_text, record_of, row_of
from stepline.plugins.state_sql.statements import Statement
from stepline.plugins.state_sql.tables import counters, files, found_files
from stepline.ports.files import Changes, FileConflict, LabelEdit
from stepline.ports.state import Page

_LABELS = "labels"

_GET = Statement(select(*COLUMNS).where(files.c.file_id == bindparam("wanted")))
_VERSION = Statement(
    select(*COLUMNS)
    .where(files.c.key == bindparam("a_key"), files.c.version == bindparam("wanted"))
    .order_by(files.c.number.desc())
    .limit(1)
)
_found = select(*COLUMNS).join(found_files, found_files.c.file == files.c.number)
_LATEST = Statement(_found.where(found_files.c.key == bindparam("a_key")))
_NEWEST = _found.order_by(found_files.c.file)
_VERSIONS = (
    select(*COLUMNS)
    .where(files.c.key == bindparam("a_key"), files.c.deleted == 0)
    .order_by(files.c.number)
)
_WRITTEN = (
    select(*COLUMNS).where(files.c.workflow_id == bindparam("wanted")).order_by(files.c.number)
)

_ADD = Statement(
    insert(files).returning(files.c.number),
    columns=[c.name for c in files.c if c.name != "number"],
)
_SET_LABELS = (
    update(files)
    .where(files.c.number == bindparam("a_number"))
    .values(labels=bindparam("a_labels"))
)
_SET_DELETED = update(files).where(files.c.number == bindparam("a_number")).values(deleted=1)
_IS_FOUND = select(found_files.c.file).where(found_files.c.file == bindparam("a_number"))
_COUNTER = Statement(select(counters.c.value).where(counters.c.name == _LABELS))
_SET_COUNTER = update(counters).where(counters.c.name == _LABELS).values(value=bindparam("a_value"))
_ADD_COUNTER = insert(counters)


class SqlFiles:
    """File versions.

    Args:
        connection: Within a transaction.
        totals: Known totals of searches; None in a transaction whose changes may not last.
    """

    def __init__(self, connection: Connection, totals: Totals | None = None) -> None:
        self._connection = connection
        self._index = FileIndex(connection)
        self._search = FileSearch(connection, totals)

    def get(self, file_id: str) -> FileRecord | None:
        """Return the file version with this id; deleted ones too."""
        return _one(self._row(file_id))

    def version(self, key: str, version: str) -> FileRecord | None:
        """Return this version of the file with this key; deleted ones too."""
        given = {"a_key": key, "wanted": version}
        return _one(_VERSION.first(self._connection, given))

    def latest(self, key: str) -> FileRecord | None:
        """Return the newest version of the file with this key, unless it was deleted."""
        return _one(_LATEST.first(self._connection, {"a_key": key}))

    def newest(self) -> Iterator[FileRecord]:
        """Yield the newest version of every file, in the order of their commits."""
        return map(record_of, self._connection.execute(_NEWEST))

    def search(self, payload: Any, *, overlay: Sequence[FileRecord] = ()) -> dict[str, Any]:
        """Return what `engine.search.search` would for the newest version of every file."""
        return self._search.search(payload, overlay)

    def page(self, *, prefix: str = "", after: int = 0, limit: int = 100) -> Page[FileRecord]:
        """Return newest versions whose keys begin with ``prefix``, in the order of commits."""
        total, numbers = self._search.page(prefix, after=after, limit=limit + 1)
        shown = numbers[:limit]
        following = shown[-1] if len(numbers) > limit and shown else 0
        return Page(self._search.records(shown), total, following)

    def versions(self, key: str) -> Sequence[FileRecord]:
        """Return all versions of a file but deleted ones, oldest first."""
        return [record_of(row) for row in self._connection.execute(_VERSIONS, {"a_key": key})]

    def written_by(self, workflow_id: str) -> Sequence[FileRecord]:
        """Return the versions that a workflow wrote, in order; deleted ones too."""
        if not workflow_id:
            return []
        return [
            record_of(row) for row in self._connection.execute(_WRITTEN, {"wanted": workflow_id})
        ]

    def commit(self, changes: Changes) -> None:
        """Make changes visible.

        Raises:
            FileConflict: A precondition does not hold, or a file id exists; nothing was changed.
        """
        self._check(changes)
        for record in changes.files:
            self._add(record)
        for edit in changes.labels:
            self._edit(edit)

    def new_label_ids(self, count: int) -> Sequence[int]:
        """Return numbers that no label has or had."""
        first = self._last_label() + 1
        self._set_last_label(first + count - 1)
        return range(first, first + count)

    def delete(self, file_id: str) -> None:
        """Hide a version from searches and lists; its record stays for provenance."""
        row = self._row(file_id)
        if row is not None:
            self._connection.execute(_SET_DELETED, {"a_number": row.number})
            self._hide(row)

    def _hide(self, row: Any) -> None:
        if self._is_found(row.number):
            self._index.hide(row.number, record_of(row))

    def _is_found(self, number: int) -> bool:
        return self._connection.execute(_IS_FOUND, {"a_number": number}).first() is not None

    def _row(self, file_id: str) -> Any:
        return _GET.first(self._connection, {"wanted": file_id})

    def _check(self, changes: Changes) -> None:
        for precondition in changes.preconditions:
            if not precondition.holds(self.latest(precondition.key)):
                raise FileConflict(precondition.key)
        given: set[str] = set()
        for record in changes.files:
            file_id = record.pointer.file_id
            if file_id in given or self._row(file_id) is not None:
                raise FileConflict(record.pointer.key)
            given.add(file_id)

    def _add(self, record: FileRecord) -> None:
        number: int = _ADD.scalar(self._connection, row_of(record))
        before = _LATEST.first(self._connection, {"a_key": record.pointer.key})
        if before is not None:
            self._index.hide(before.number, record_of(before))
        self._index.show(number, record)
        self._note_labels(record)

    def _edit(self, edit: LabelEdit) -> None:
        row = self._row(edit.file_id)
        if row is None:
            return
        before = record_of(row)
        record = edit.apply(before)
        given = {"a_number": row.number, "a_labels": labels_text(record.labels)}
        self._connection.execute(_SET_LABELS, given)
        if self._is_found(row.number):
            self._index.relabel(row.number, before, after=record)
        self._note_labels(record)

    def _note_labels(self, record: FileRecord) -> None:
        """Keep the counter of labels ahead of all that are stored."""
        highest = max((label.id for label in record.labels), default=0)
        if highest and highest > self._last_label():
            self._set_last_label(highest)

    def _last_label(self) -> int:
        return _COUNTER.scalar(self._connection) or 0

    def _set_last_label(self, value: int) -> None:
        if not self._connection.execute(_SET_COUNTER, {"a_value": value}).rowcount:
            self._connection.execute(_ADD_COUNTER, {"name": _LABELS, "value": value})


def _one(row: Any) -> FileRecord | None:
    return None if row is None else record_of(row)

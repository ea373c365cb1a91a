"""File versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from stepline.model.file import FileRecord
from stepline.plugins.state_sql.records import labels_text, record_of, row_of
from stepline.plugins.state_sql.tables import counters, files, found_files
from stepline.ports.files import Changes, FileConflict, LabelEdit
from stepline.ports.state import Page

_LABELS = "labels"

_wanted = [
    files.c[name] for name in ("number", "file_id", "key", "version", "labels", "record", "deleted")
]
_GET = select(*_wanted).where(files.c.file_id == bindparam("wanted"))
_VERSION = (
    select(*_wanted)
    .where(files.c.key == bindparam("a_key"), files.c.version == bindparam("wanted"))
    .order_by(files.c.number.desc())
    .limit(1)
)
_found = select(*_wanted).join(found_files, found_files.c.file == files.c.number)
_LATEST = _found.where(found_files.c.key == bindparam("a_key"))
_NEWEST = _found.order_by(found_files.c.file)
_VERSIONS = (
    select(*_wanted)
    .where(files.c.key == bindparam("a_key"), files.c.deleted == 0)
    .order_by(files.c.number)
)
_WRITTEN = (
    select(*_wanted).where(files.c.workflow_id == bindparam("wanted")).order_by(files.c.number)
)

_ADD = insert(files)
_SET_LABELS = (
    update(files)
    .where(files.c.number == bindparam("a_number"))
    .values(labels=bindparam("a_labels"))
)
_SET_DELETED = update(files).where(files.c.number == bindparam("a_number")).values(deleted=1)
_HIDE_KEY = delete(found_files).where(found_files.c.key == bindparam("a_key"))
_HIDE = delete(found_files).where(found_files.c.file == bindparam("a_number"))
_SHOW = insert(found_files)
_COUNTER = select(counters.c.value).where(counters.c.name == _LABELS)
_SET_COUNTER = update(counters).where(counters.c.name == _LABELS).values(value=bindparam("a_value"))
_ADD_COUNTER = insert(counters)


class SqlFiles:
    """File versions."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, file_id: str) -> FileRecord | None:
        """Return the file version with this id; deleted ones too."""
        return _one(self._row(file_id))

    def version(self, key: str, version: str) -> FileRecord | None:
        """Return this version of the file with this key; deleted ones too."""
        given = {"a_key": key, "wanted": version}
        return _one(self._connection.execute(_VERSION, given).first())

    def latest(self, key: str) -> FileRecord | None:
        """Return the newest version of the file with this key, unless it was deleted."""
        return _one(self._connection.execute(_LATEST, {"a_key": key}).first())

    def newest(self) -> Iterator[FileRecord]:
        """Yield the newest version of every file, in the order of their commits."""
        return map(record_of, self._connection.execute(_NEWEST))

    def search(self, payload: Any, *, overlay: Sequence[FileRecord] = ()) -> dict[str, Any]:
        """Return what `engine.search.search` would for the newest version of every file."""
        from stepline.engine.search import document, search

        search(payload, [])
        replaced = {record.pointer.key for record in overlay}
        kept = (record for record in self.newest() if record.pointer.key not in replaced)
        return search(payload, (document(record) for part in (kept, overlay) for record in part))

    def page(self, *, prefix: str = "", after: int = 0, limit: int = 100) -> Page[FileRecord]:
        """Return newest versions whose keys begin with ``prefix``, in the order of commits."""
        within = [found_files.c.key >= prefix]
        if end := _end_of(prefix):
            within.append(found_files.c.key < end)
        counted = select(func.count()).select_from(found_files)
        total = self._connection.execute(counted.where(*within) if prefix else counted).scalar()
        part = _NEWEST.where(found_files.c.file > after).limit(limit + 1)
        rows = self._connection.execute(part.where(*within) if prefix else part).all()
        following = rows[limit - 1].number if len(rows) > limit else 0
        return Page([record_of(row) for row in rows[:limit]], total or 0, following)

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
            self._connection.execute(_HIDE, {"a_number": row.number})

    def _row(self, file_id: str) -> Row[Any] | None:
        return self._connection.execute(_GET, {"wanted": file_id}).first()

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
        added = self._connection.execute(_ADD, row_of(record))
        number = added.inserted_primary_key[0]  # type: ignore[index]  # one row has one
        key = record.pointer.key
        self._connection.execute(_HIDE_KEY, {"a_key": key})
        row = {"file": number, "key": key, "size": record.size, "created_us": None}
        self._connection.execute(_SHOW, row)
        self._note_labels(record)

    def _edit(self, edit: LabelEdit) -> None:
        row = self._row(edit.file_id)
        if row is None:
            return
        record = edit.apply(record_of(row))
        given = {"a_number": row.number, "a_labels": labels_text(record.labels)}
        self._connection.execute(_SET_LABELS, given)
        self._note_labels(record)

    def _note_labels(self, record: FileRecord) -> None:
        """Keep the counter of labels ahead of all that are stored."""
        highest = max((label.id for label in record.labels), default=0)
        if highest and highest > self._last_label():
            self._set_last_label(highest)

    def _last_label(self) -> int:
        return self._connection.execute(_COUNTER).scalar() or 0

    def _set_last_label(self, value: int) -> None:
        if not self._connection.execute(_SET_COUNTER, {"a_value": value}).rowcount:
            self._connection.execute(_ADD_COUNTER, {"name": _LABELS, "value": value})


def _one(row: Row[Any] | None) -> FileRecord | None:
    return None if row is None else record_of(row)


def _end_of(prefix: str) -> str:
    """Return the least text after all that begin with a prefix, empty where there is none."""
    for at in range(len(prefix) - 1, -1, -1):
        following = ord(prefix[at]) + 1
        if following == 0xD800:  # surrogates are no characters
            following = 0xE000
        if following <= 0x10FFFF:
            return prefix[:at] + chr(following)
    return ""

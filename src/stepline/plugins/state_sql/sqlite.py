"""What is particular to SQLite: connections, locks, and what its errors mean."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from stepline.errors import PlatformError

_BUSY_S = 5.0
_READERS = 8
_LET_GO_S = 2.0
_POLL_S = 0.005
_SETTINGS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY")


class SqliteDatabase:
    """An SQLite file that no other process of ours uses.

    Args:
        path: The file; it is made if there is none, its folder is not.

    Raises:
        PlatformError: Another process uses it, or it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._lock = _lock(self.path)
        _make_private(self.path)
        # The driver is told once per connection what that is for, not at each transaction.
        self._readers = _engine(self.path, begin="BEGIN", settings=("query_only=ON",))
        self._writers = _engine(self.path, begin="BEGIN IMMEDIATE")

    def writer(self) -> Connection:
        """Return a connection that writes; there must be only one."""
        return self._writers.connect()

    def reader(self) -> Connection:
        """Return a connection of the pool; what it reads is one snapshot."""
        return self._readers.connect()

    def in_transaction(self, connection: Connection) -> bool:
        """Whether a transaction is still open: some errors end it as a whole."""
        raw: Any = connection.connection.dbapi_connection
        return bool(raw.in_transaction)

    def explain(self, error: Exception) -> PlatformError:
        """Return what an error of the database means."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        what, hint, retryable = _meaning(cause)
        return PlatformError(
            f"the state '{self.path}' {what}: {cause}", hint=hint, retryable=retryable
        )

    def close(self) -> None:
        """Close all connections that are not in use, and let others open the file."""
        self._readers.dispose()
        self._writers.dispose()
        os.close(self._lock)


def _make_private(path: str) -> None:
    """Make an empty database that only its owner reads; SQLite gives its other files its mode."""
    with contextlib.suppress(OSError):  # opening it tells what is wrong
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _lock(path: str) -> int:
    """Lock the file beside the database for as long as this process lives."""
    name = f"{path}.lock"
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PlatformError(
            f"the state '{path}' cannot be opened: {error.strerror}: '{name}'",
            hint="its folder must be there, and writable",
        ) from error
    try:
        _take(descriptor)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        owner = _owner(descriptor)
        os.close(descriptor)
        raise _locked(path, owner, error) from error
    return descriptor


def _take(descriptor: int) -> None:
    """Take the lock; where its owner is dead, wait a moment for it.

    What a killed process was just starting holds all that the process had open, until it
    runs a program of its own.

    Raises:
        OSError: Somebody else has it.
    """
    end = time.monotonic() + _LET_GO_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            owner = _owner(descriptor)
            is_dead = owner.isdecimal() and not os.path.exists(f"/proc/{owner}")
            if not is_dead or time.monotonic() >= end:
                raise
        time.sleep(_POLL_S)


def _owner(descriptor: int) -> str:
    return os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()


def _locked(path: str, owner: str, error: OSError) -> PlatformError:
    if isinstance(error, BlockingIOError):
        return PlatformError(
            f"the state '{path}' is in use by process {owner or 'unknown'}",
            hint="stop that process, or use another folder; one state serves one process",
        )
    return PlatformError(f"the state '{path}' cannot be locked: {error.strerror}")


def _engine(path: str, *, begin: str, settings: Sequence[str] = ()) -> Engine:
    def connect() -> sqlite3.Connection:
        # Transactions are begun below, and connections change threads within the pool.
        raw = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        for setting in (*_SETTINGS, *settings):
            raw.execute(f"PRAGMA {setting}")
        return raw

    engine = create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, pool_size=_READERS, max_overflow=-1
    )

    def begin_it(connection: Connection) -> None:
        raw: Any = connection.connection.dbapi_connection
        raw.execute(begin)

    event.listen(engine, "begin", begin_it)
    return engine


def _meaning(cause: BaseException | None) -> tuple[str, str, bool]:
    """Return what went wrong, a hint, and whether it may go well later."""
    name = getattr(cause, "sqlite_errorname", "")
    for start, meaning in _MEANINGS.items():
        if name.startswith(start):
            return meaning
    return "cannot be used", "", False


_MEANINGS = {
    "SQLITE_FULL": ("cannot be written, the disk is full", "make room on the disk", True),
    "SQLITE_BUSY": ("is locked", "another program has it open; close that", True),
    "SQLITE_LOCKED": ("is locked", "another program has it open; close that", True),
    "SQLITE_READONLY": ("cannot be written", "make the file and its folder writable", False),
    "SQLITE_PERM": ("cannot be used", "make the file and its folder writable", False),
    "SQLITE_CANTOPEN": ("cannot be opened", "its folder must be there, and writable", False),
    "SQLITE_IOERR": ("cannot be read or written", "look at the disk and its limits", True),
    "SQLITE_CORRUPT": ("is damaged", "put back a copy of it from before", False),
    "SQLITE_NOTADB": ("is damaged, or no database", "put back a copy of it from before", False),
    "SQLITE_NOMEM": ("cannot be used, memory is short", "", True),
}

DATABASE_ERRORS = (SQLAlchemyError, sqlite3.Error)

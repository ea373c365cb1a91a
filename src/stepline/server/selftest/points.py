"""Commit points: where the service makes something last, and where it is killed for a test.

A point is what somebody does to the state or the store, and the moment just before or just
after that lasts. Points are found by watching the service work; no list of them is kept.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from stepline.ports import state as ports
from stepline.ports.state import State, StateView, Transaction

T = TypeVar("T")

# What only reads. All else that a repository does counts as a change, so that a new method is
# one until it is named here.
_VIEWS = (
    ports.FilesView,
    ports.PipelinesView,
    ports.LedgerView,
    ports.WorkflowsView,
    ports.ArtifactsView,
)
_READS = {"heads", "next_due", "holds", "of_workflow", "taken", "get", "all"}.union(
    *map(vars, _VIEWS)
)


class Side(str, Enum):
    """When a process is killed: before its change lasts, or after."""

    BEFORE = "before"
    AFTER = "after"


class Point(NamedTuple):
    """A commit point.

    Attributes:
        kind: Who changes what.
        side: Before or after.
    """

    kind: str
    side: Side

    def __str__(self) -> str:
        return f"{self.side.value} {self.kind}"


class Watch:
    """Notes each kind of commit point that a process comes to, and kills it at one of them.

    Args:
        notes: File that kinds are added to, a line of phase and kind each.
        target: Where to kill; None for nowhere.
        phase: What the process is at, in the words of who drives it; may be set.
    """

    def __init__(self, notes: Path, target: Point | None, *, phase: str = "start") -> None:
        self.phase = phase
        self._target = target
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self._file = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def pass_by(self, kind: str, side: Side) -> None:
        """Go on, or end here and now."""
        with self._lock:
            if kind not in self._seen:
                self._seen.add(kind)
                os.write(self._file, f"{self.phase}\t{kind}\n".encode())
        if self._target == (kind, side):
            os.kill(os.getpid(), signal.SIGKILL)


class WatchedState:
    """A state whose writes are commit points.

    Args:
        state: The state itself.
        watch: Told of each write that changes something.
    """

    def __init__(self, state: State, watch: Watch) -> None:
        self._state = state
        self._watch = watch

    def write(self, act: Callable[[Transaction], T]) -> T:
        """Do something in a transaction and return its result, once that is durable."""
        kinds: list[str] = []

        def watched(tx: Transaction) -> T:
            changes: set[str] = set()
            result = act(cast(Transaction, _WatchedTransaction(tx, changes)))
            kinds[:] = [f"{name_of(act)}: {', '.join(sorted(changes))}"] if changes else []
            for kind in kinds:
                self._watch.pass_by(kind, Side.BEFORE)
            return result

        result = self._state.write(watched)
        for kind in kinds:
            self._watch.pass_by(kind, Side.AFTER)
        return result

    def read(self) -> AbstractContextManager[StateView]:
        """Return one consistent state to read."""
        return self._state.read()

    def close(self) -> None:
        """Let go of everything."""
        self._state.close()


class _WatchedTransaction:
    """A transaction that notes what is done with its repositories."""

    def __init__(self, tx: Transaction, changes: set[str]) -> None:
        self._tx = tx
        self._changes = changes

    def __getattr__(self, name: str) -> Any:
        return _WatchedRepository(getattr(self._tx, name), name, self._changes)


class _WatchedRepository:
    def __init__(self, repository: Any, name: str, changes: set[str]) -> None:
        self._repository = repository
        self._name = name
        self._changes = changes

    def __getattr__(self, name: str) -> Any:
        if name not in _READS:
            self._changes.add(f"{self._name}.{name}")
        return getattr(self._repository, name)


def name_of(act: Any) -> str:
    """Return where a function is from, without what is the same for all of them."""
    return f"{act.__module__}.{act.__qualname__}".replace(".<locals>", "").removeprefix("stepline.")

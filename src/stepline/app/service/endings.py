"""Telling of workflows that came to their ends, whatever ended them, once that is durable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from typing import TypeVar

from stepline.frozen import frozen
from stepline.ports.state import State, StateView, StoredWorkflow, Transaction

T = TypeVar("T")


@frozen
class Ending:
    """A workflow that came to its end.

    Attributes:
        stored: As it is stored now.
        stopped: Ids of its attempts that are no longer wanted.
    """

    stored: StoredWorkflow
    stopped: Sequence[str] = ()


class Endings:
    """A state that tells of the workflows that each of its transactions ended.

    Who writes is told after the transaction lasts, and not at all where it does not. A
    transaction may end workflows that its writer knows nothing of, such as those that
    waited for another one's end.

    Args:
        state: The state.
        told: Told of each end, by the thread that wrote.
    """

    def __init__(self, state: State, told: Callable[[Ending], None]) -> None:
        self._state = state
        self._told = told
        self._here = threading.local()

    def note(self, ending: Ending) -> None:
        """Have an end told; called within a transaction, by the thread that carries it out."""
        self._here.endings.append(ending)

    def write(self, act: Callable[[Transaction], T]) -> T:
        """Do something in a transaction, return its result, and tell what it ended."""
        endings: list[Ending] = []

        @wraps(act)
        def noting(tx: Transaction) -> T:
            endings.clear()  # it may be done again
            self._here.endings = endings
            return act(tx)

        result = self._state.write(noting)
        for ending in endings:
            self._told(ending)
        return result

    def read(self) -> AbstractContextManager[StateView]:
        """Return one consistent state to read, for as long as the context lasts."""
        return self._state.read()

    def close(self) -> None:
        """Finish the writes that were begun, and let go of everything."""
        self._state.close()

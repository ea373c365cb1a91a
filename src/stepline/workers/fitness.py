"""Whether an executor can run tasks at all now, as far as was just seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from stepline.errors import SteplineError

_FIT_S = 0.2
_UNFIT_S = 1.0
_PATIENCE_S = 5.0


class Fitness:
    """What a check said last; several threads may ask.

    Args:
        check: Raises a `SteplineError` where tasks cannot be run. What it returns is nobody's.
        clock: Returns seconds of a clock that is never set.
        patience_s: Seconds after which a check that goes on counts as a fault.
    """

    def __init__(
        self,
        check: Callable[[], object],
        *,
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._check = check
        self._clock = clock
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._until = float("-inf")
        self._faults: list[str] = []
        self._checking: threading.Thread | None = None

    def faults(self, *, anew: bool = False) -> Sequence[str]:
        """Return why no task can be run now.

        An engine that hangs would hold up who asks, so a thread of its own asks that.

        Args:
            anew: Whether to look now, also if somebody has just looked.
        """
        with self._lock:
            if self._clock() < self._until and not anew:
                return list(self._faults)
            hangs = self._checking is not None and self._checking.is_alive()
            if self._checking is None or not hangs:
                self._checking = threading.Thread(target=self._look, name="fitness", daemon=True)
                self._checking.start()
            self._checking.join(0 if hangs else self._patience_s)
            if self._checking.is_alive():
                self._faults = [f"what runs tasks does not answer within {self._patience_s:g} s"]
            self._until = self._clock() + (_UNFIT_S if self._faults else _FIT_S)
            return list(self._faults)

    def join(self, timeout_s: float) -> None:
        """Wait for a check that goes on, for at most so long."""
        if (checking := self._checking) is not None:
            checking.join(timeout_s)

    def _look(self) -> None:
        try:
            self._check()
        except SteplineError as error:
            self._faults = [str(error)]
        else:
            self._faults = []

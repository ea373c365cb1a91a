"""A clock for waiting: it follows that of the machine forward, and never goes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class SteadyClock:
    """Returns seconds since the epoch for leases and retries.

    When the machine's clock is set back, what was to happen in a second would otherwise
    happen when the clock comes by again, which may be in a year. Several threads may ask.

    Args:
        clock: The machine's clock, seconds since the epoch.
        monotonic: Returns seconds that only grow.
    """

    def __init__(
        self, clock: Callable[[], float], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._at = self._seen = clock()
        self._passed = monotonic()

    def __call__(self) -> float:
        """Return the time; while the machine's clock goes back, what really passed."""
        with self._lock:
            seen, passed = self._clock(), self._monotonic()
            # A machine that slept has a clock that went on and a monotonic one that did not.
            went_back = seen < self._seen
            self._at += passed - self._passed if went_back else seen - self._seen
            self._seen, self._passed = seen, passed
            return self._at

"""When the platform stops waiting for a worker, whatever that does."""

from __future__ import annotations

import time

# How long it is asked no question for: somebody else may end the wait meanwhile.
_SLICE_SECONDS = 10.0
# For the outcome that a worker has told while the platform itself was busy.
_LAST_SECONDS = 2.0


class Deadline:
    """A point in time that may only be moved closer; several threads may use it.

    Once it has passed, `wait_s` raises TimeoutError.
    """

    def __init__(self) -> None:
        self._at = float("inf")
        self._last = 0.0

    def begin(self, within_s: float | None) -> None:
        """Count from now; None: until `hurry` says otherwise."""
        self._at = float("inf") if within_s is None else time.monotonic() + within_s
        self._last = 0.0

    def hurry(self, within_s: float) -> None:
        """Have it pass in at most so long from now."""
        self._at = min(self._at, time.monotonic() + within_s)

    @property
    def passed(self) -> bool:
        """Whether it has passed."""
        return time.monotonic() >= self._at

    def excuse(self) -> None:
        """Wait a little longer, once, where the platform itself let it pass."""
        if self.passed and not self._last:
            self._last = time.monotonic() + _LAST_SECONDS

    def wait_s(self) -> float:
        """Return for how many seconds to wait before asking again.

        Raises:
            TimeoutError: It has passed.
        """
        left = max(self._at, self._last) - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, _SLICE_SECONDS)

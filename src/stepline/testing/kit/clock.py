"""Time and ids that are the same in every test."""

from __future__ import annotations

import time

# 2030-01-01T00:00:00Z
_START_S = 1_893_456_000.0


class Clock:
    """Stands still, except where somebody waits; waiting takes no time.

    Attributes:
        seconds: Now, in seconds since the epoch.
    """

    def __init__(self, seconds: float = _START_S) -> None:
        self.seconds = seconds

    def now(self) -> str:
        """Return the time, ISO 8601 in UTC."""
        whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.seconds))
        return f"{whole}.{int(self.seconds % 1 * 1000):03d}Z"

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds


class Ids:
    """UUIDs that follow from how many there were before."""

    def __init__(self) -> None:
        self._count = 0

    def new(self) -> str:
        """Return the next one."""
        from stepline.plugins.files_local.lake import name_uuid

        self._count += 1
        return name_uuid(f"test kit {self._count}")

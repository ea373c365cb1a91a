"""Processes that a killed service has left."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

LONGEST_S = 5.0


class Seen(NamedTuple):
    """A process.

    Attributes:
        pid: Its id, which another one may have later.
        started: When it was started, in the kernel's own measure.
    """

    pid: int
    started: str


class Leftovers:
    """Looks after processes that should end by themselves.

    Args:
        base: Path that stands in the environment or the command line of each of them.
    """

    def __init__(self, base: str) -> None:
        self._base = os.fsencode(base)
        self._due: dict[Seen, float] = {}
        self.overdue: list[str] = []

    def note(self) -> None:
        """Begin to look after all that are there now."""
        due = time.monotonic() + LONGEST_S
        for seen in self._found():
            self._due.setdefault(seen, due)

    def look(self) -> None:
        """Note those whose time is over."""
        now = time.monotonic()
        for seen in [seen for seen, due in self._due.items() if due <= now]:
            del self._due[seen]
            if _started(seen.pid) == seen.started:
                self.overdue.append(f"process {seen.pid}: {_words(seen.pid)}")

    def wait(self) -> None:
        """Wait until each has ended, or has had its time."""
        while self._due:
            self._due = {s: due for s, due in self._due.items() if _started(s.pid) == s.started}
            self.look()
            time.sleep(0.02)

    def _found(self) -> list[Seen]:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        own = [pid for pid in pids if pid != os.getpid() and self._is_ours(pid)]
        return [Seen(pid, started) for pid in own if (started := _started(pid))]

    def _is_ours(self, pid: int) -> bool:
        return self._base in _content(pid, "environ") or self._base in _content(pid, "cmdline")


def _started(pid: int) -> str:
    """Return when a process was started; nothing for one that has ended."""
    fields = _content(pid, "stat").rpartition(b")")[2].split()
    return fields[19].decode() if len(fields) > 19 and fields[0] not in b"ZX" else ""


def _words(pid: int) -> str:
    return _content(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")


def _content(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""  # it has ended, or belongs to somebody else

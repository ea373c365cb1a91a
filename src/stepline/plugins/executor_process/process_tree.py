"""Ending a worker that does not answer, with everything below it.

The worker ends its tasks' processes itself; this is for the case that it cannot.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress


def kill_tree(pid: int) -> None:
    """Send SIGKILL to a process and all its descendants."""
    below = _descendants(pid)
    for target in (pid, *below):
        with suppress(ProcessLookupError):
            os.kill(target, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
            parent = int(file.read().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    level = [pid]
    while level:
        level = [child for parent in level for child in children.get(parent, ())]
        found += level
    return found

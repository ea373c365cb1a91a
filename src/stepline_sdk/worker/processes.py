"""Ending of every process that a task started."""

from __future__ import annotations

import ctypes
import os
import signal
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SWEEP_SECONDS = 10.0

_prctl = ctypes.CDLL(None, use_errno=True).prctl


def become_subreaper() -> None:
    """Have orphaned descendants handed to this process, so that it can end them."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """End the calling process when its parent, ``parent``, ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def parents() -> dict:
    """Return the parent's id of every process that can be seen, by process id."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as file:
                    stat = file.read()
            except OSError:
                continue
            found[int(name)] = int(stat[stat.rindex(b")") + 2 :].split()[1])
    return found


def descendants(pid: int) -> list:
    """Return the ids of all processes below ``pid``, nearest first."""
    by_parent: dict = {}
    for child, parent in parents().items():
        by_parent.setdefault(parent, []).append(child)
    found = []
    level = [pid]
    while level:
        level = [child for parent in level for child in by_parent.get(parent, ())]
        found += level
    return found


def kill(pid: int) -> None:
    """Send SIGKILL to a process that may be gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def kill_tree(pid: int) -> None:
    """Send SIGKILL to a process and all below it."""
    below = descendants(pid)
    kill(pid)
    for other in below:
        kill(other)


def sweep(keep: int | None = None) -> int:
    """End and reap all descendants of the calling process but ``keep`` and its own.

    What a killed process had started is handed to this one, the subreaper, and
    ended in the next round.

    Returns:
        How many were ended.
    """
    if keep is None and not _has_children():
        return 0
    ended = 0
    deadline = time.monotonic() + _SWEEP_SECONDS
    while time.monotonic() < deadline:
        spared = set() if keep is None else {keep, *descendants(keep)}
        left = [pid for pid in descendants(os.getpid()) if pid not in spared]
        if not left:
            break
        for pid in left:
            kill(pid)
        ended += sum(_reap(pid) for pid in left)
        time.sleep(0.001)
    return ended


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG | os.WNOWAIT if hasattr(os, "WNOWAIT") else os.WNOHANG)
    except ChildProcessError:
        return False
    except OSError:
        return True
    return True


def _reap(pid: int) -> int:
    try:
        return int(os.waitpid(pid, os.WNOHANG)[0] == pid)
    except ChildProcessError:
        return 0

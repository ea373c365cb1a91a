"""Ending of every process that a task started."""

from __future__ import annotations

import ctypes
import os
import signal
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_SWEEP_SECONDS = 10.0
_PAUSE_SECONDS = 0.0002
_READ_BYTES = 4096

_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Have orphaned descendants handed to this process, so that it can end them."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """End the calling process when its parent, ``parent``, ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def hide_inside() -> None:
    """Keep the memory and descriptors of this process from others of its user.

    Those with privileges still get at them. What is forked from it is hidden too.
    """
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def show_inside() -> None:
    """Undo `hide_inside`: a hidden process may not open all of its own files in /proc."""
    _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def flush_stdio() -> None:
    """Write out what C code has printed and not flushed."""
    _libc.fflush(None)


def children(pid: int) -> list[int]:
    """Return the ids of a process's children, ended ones that nobody waited for included."""
    if not _KERNEL_LISTS_CHILDREN:
        return [child for child, parent in _parents() if parent == pid]
    found: list[int] = []
    try:
        for thread in os.listdir("/proc/%d/task" % pid):
            found += map(int, _read("/proc/%d/task/%s/children" % (pid, thread)).split())
    except OSError:
        pass  # it has ended
    return found


def descendants(pid: int, *, without: int = 0) -> list[int]:
    """Return the ids of all processes below ``pid``, nearest first.

    Args:
        pid: Where to begin; not in the result.
        without: One that is left out with all below it.
    """
    found: list[int] = []
    level = [pid]
    while level:
        below = [child for parent in level for child in children(parent)]
        level = [child for child in below if child != without]
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


def sweep() -> None:
    """End and reap all descendants of the calling process, which is a subreaper.

    What a killed process had started is handed to this one and ended in the next
    round.
    """
    deadline = time.monotonic() + _SWEEP_SECONDS
    while _reap_ended() and time.monotonic() < deadline:
        for pid in descendants(os.getpid()):
            kill(pid)
        time.sleep(_PAUSE_SECONDS)


def sweep_orphans(keep: int) -> None:
    """End all descendants of the calling process but the child ``keep`` and its own."""
    deadline = time.monotonic() + _SWEEP_SECONDS
    while time.monotonic() < deadline:
        orphans = [pid for pid in children(os.getpid()) if pid != keep]
        if not orphans:
            return
        for pid in orphans:
            kill_tree(pid)
            _reap(pid)
        time.sleep(_PAUSE_SECONDS)


def _reap_ended() -> bool:
    """Reap all children that have ended; tell whether others are left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def _parents() -> list[tuple[int, int]]:
    """Return (process, parent) of every process that can be seen."""
    return [(pid, _parent(pid)) for pid in map(int, filter(str.isdigit, os.listdir("/proc")))]


def _parent(pid: int) -> int:
    try:
        stat = _read("/proc/%d/stat" % pid)
    except OSError:
        return 0
    return int(stat[stat.rindex(b")") + 2 :].split()[1])


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = [os.read(fd, _READ_BYTES)]
        while parts[-1]:
            parts.append(os.read(fd, _READ_BYTES))
        return b"".join(parts)
    finally:
        os.close(fd)


_KERNEL_LISTS_CHILDREN = os.path.exists("/proc/self/task/%d/children" % os.getpid())

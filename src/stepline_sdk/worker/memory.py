"""Memory limit of a task's process tree.

A cgroup holds the limit where one can be made, or one around the worker does already;
elsewhere the size of the tree is looked at every few milliseconds. An address-space limit
would be simpler and is not used: numeric libraries reserve far more than they touch, and
abort.
"""

from __future__ import annotations

import binascii
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable, Union

    MemoryLimit = Union["CgroupMemory", "AroundMemory", "WatchedMemory"]

WATCH_SECONDS = 0.02

_MIB = 1024 * 1024
_OWN_CGROUPS = "/proc/self/cgroup"
_V1_ROOT = "/sys/fs/cgroup/memory"
_V2_ROOT = "/sys/fs/cgroup"
_REMOVE_SECONDS = 1.0
# With less, the worker itself would be ended; no interpreter runs in that.
_LEAST_MB = 16
_READ_BYTES = 16384


class LimitTooLow(Exception):
    """The limit is below what is in use before the task begins."""


def memory_limit(way: str | None = None, mark: str | None = None) -> MemoryLimit:
    """Return the strongest way to limit memory that this machine allows.

    Args:
        way: ``watch`` does without a cgroup also where there could be one. ``around`` is for
            a worker in a container whose own limit is that of its tasks.
        mark: What tells the worker from all others; None for one of chance.
    """
    if way == "around":
        return _around()
    mark = mark or binascii.hexlify(os.urandom(8)).decode()
    for folder, files, home in [] if way == "watch" else cgroups_of(mark):
        try:
            return CgroupMemory(folder, files, home=home)
        except OSError:
            continue
    return WatchedMemory()


class CgroupFiles:
    """Names of a memory cgroup's files in one version of the interface."""

    def __init__(
        self, name: str, *, limit: str, unlimited: str, events: str, swap: str, in_use: bytes
    ) -> None:
        self.name = name
        self.limit = limit
        self.unlimited = unlimited
        self.events = events
        self.swap = swap
        self.in_use = in_use


V1 = CgroupFiles(
    "cgroup v1",
    limit="memory.limit_in_bytes",
    unlimited="-1",
    events="memory.oom_control",
    swap="memory.swappiness",
    in_use=b"rss",
)
V2 = CgroupFiles(
    "cgroup v2",
    limit="memory.max",
    unlimited="max",
    events="memory.events",
    swap="memory.swap.max",
    in_use=b"anon",
)


class CgroupMemory:
    """A cgroup of the worker's own, in which its tasks' processes start.

    The worker is in it too, because to move a process costs up to 10 ms. Tasks ask the
    kernel to end them rather than the worker when there is too little memory.

    Args:
        folder: The cgroup, made here.
        files: Names of its files.
        home: The cgroup in which the worker started, and to which it returns.

    Attributes:
        way: What holds the limit, for people.
        files_count: Whether files in ``/tmp`` and ``/dev/shm`` are memory of the task.
        folder: The cgroup.
        fds: Descriptors that are no business of tasks.
    """

    watch_seconds = None
    files_count = False

    def __init__(self, folder: str, files: CgroupFiles, *, home: str) -> None:
        self.folder = folder
        self.way = files.name
        self.fds: tuple[int, ...] = ()
        self._home = home
        self._files = files
        self._limit: int | None = None
        self._kills_before = 0
        os.mkdir(folder)
        try:
            self._write(files.limit, files.unlimited)
            self._events = self._open(files.events)
            self.fds = (self._events,)
            self._join(folder)
        except OSError:
            for fd in self.fds:
                os.close(fd)
            os.rmdir(folder)
            raise
        try:
            self._write(files.swap, "0")
        except OSError:
            pass  # without swap there is nothing to forbid

    def begin(self, limit_mb: int | None) -> None:
        """Set the limit for the task that starts next.

        Raises:
            LimitTooLow: More is in use already, or would be by any task.
        """
        self._kills_before = self._kills()
        if limit_mb == self._limit:
            return
        if limit_mb is None:
            self._write(self._files.limit, self._files.unlimited)
        else:
            self._set(limit_mb * _MIB)
        self._limit = limit_mb

    def enter(self) -> None:
        """Have the calling process, and all it starts, ended before the worker is."""
        _be_ended_first()

    def exceeded(self, tree: Callable[[], Iterable[int]]) -> bool:
        """Tell whether the kernel ended a process of the task for its memory."""
        return self._kills() > self._kills_before

    def close(self) -> None:
        """Leave the cgroup and remove it; the processes of tasks have ended."""
        try:
            self._join(self._home)
        except OSError:
            return
        remove_cgroup(self.folder)

    def _set(self, limit: int) -> None:
        stat = self._open("memory.stat")
        try:
            if limit < _LEAST_MB * _MIB:
                raise LimitTooLow
            # One version of the kernel's interface refuses such a limit, the other ends somebody.
            if _number(stat, self._files.in_use) > limit:
                raise LimitTooLow
            self._write(self._files.limit, str(limit))
        except OSError as error:
            raise LimitTooLow from error
        finally:
            os.close(stat)

    def _kills(self) -> int:
        return _number(self._events, b"oom_kill")

    def _open(self, name: str) -> int:
        return os.open(os.path.join(self.folder, name), os.O_RDONLY | os.O_CLOEXEC)

    def _join(self, folder: str) -> None:
        with open(os.path.join(folder, "cgroup.procs"), "w") as file:
            file.write("0")

    def _write(self, name: str, text: str) -> None:
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(text)


class AroundMemory:
    """The cgroup that the worker is in, whose limit is held and was set from outside.

    Besides the tasks, the worker is under that limit too, so it is a little above theirs.

    Args:
        events: File of the cgroup in which the kernel counts whom it ended.
        files: Which version of the interface it is of.

    Raises:
        OSError: The kernel does not count there.
    """

    watch_seconds = None
    files_count = True
    folder = None

    def __init__(self, events: str, files: CgroupFiles) -> None:
        self.way = "%s around" % files.name
        self._kills_before = 0
        self._events = os.open(events, os.O_RDONLY | os.O_CLOEXEC)
        if b"oom_kill " not in os.pread(self._events, _READ_BYTES, 0):
            os.close(self._events)
            raise OSError("no count in %s" % events)
        self.fds = (self._events,)

    def begin(self, limit_mb: int | None) -> None:
        """Count from here on.

        Raises:
            LimitTooLow: Less than any task needs.
        """
        if limit_mb is not None and limit_mb < _LEAST_MB:
            raise LimitTooLow
        self._kills_before = self._kills()

    def enter(self) -> None:
        """Have the calling process, and all it starts, ended before the worker is."""
        _be_ended_first()

    def exceeded(self, tree: Callable[[], Iterable[int]]) -> bool:
        """Tell whether the kernel ended a process of the task for its memory."""
        return self._kills() > self._kills_before

    def close(self) -> None:
        """Nothing to remove."""

    def _kills(self) -> int:
        return _number(self._events, b"oom_kill")


class WatchedMemory:
    """Looks at the size of a task's tree from outside."""

    way = "watched"
    watch_seconds = WATCH_SECONDS
    files_count = False
    folder = None
    fds = ()

    def __init__(self) -> None:
        self._limit: int | None = None
        self._exceeded = False
        self._page = os.sysconf("SC_PAGE_SIZE")

    def begin(self, limit_mb: int | None) -> None:
        """Set the limit for the task that starts next.

        Raises:
            LimitTooLow: Less than any task needs; a short one may end before it is looked at.
        """
        if limit_mb is not None and limit_mb < _LEAST_MB:
            raise LimitTooLow
        self._limit = limit_mb
        self._exceeded = False

    def enter(self) -> None:
        """Nothing to do inside the task."""

    def exceeded(self, tree: Callable[[], Iterable[int]]) -> bool:
        """Tell whether the processes that ``tree`` returns are or were over the limit.

        The sum of resident sizes is quick to get and counts shared pages several times;
        only where it is over the limit, each process's share of them is added up.
        """
        if self._limit is not None and not self._exceeded:
            limit = self._limit * _MIB
            pids = list(tree())
            if sum(map(self._resident, pids)) > limit:
                self._exceeded = sum(map(self._share, pids)) > limit
        return self._exceeded

    def close(self) -> None:
        """Nothing to remove."""

    def _resident(self, pid: int) -> int:
        try:
            with open("/proc/%d/statm" % pid) as file:
                return int(file.read().split()[1]) * self._page
        except (OSError, IndexError):
            return 0

    def _share(self, pid: int) -> int:
        try:
            with open("/proc/%d/smaps_rollup" % pid) as file:
                shares = [line.split()[1] for line in file if line.startswith("Pss:")]
        except OSError:
            shares = []  # an older kernel, or the process has ended
        return int(shares[0]) * 1024 if shares else self._resident(pid)


def _around() -> MemoryLimit:
    """Return the limit of the cgroup around; one to watch where nothing can be seen of it.

    In a container, the folder of its own cgroup as a rule lies where that of the root is
    outside.
    """
    folders = [*_own_folders(), (_V1_ROOT, V1), (_V2_ROOT, V2)]
    for folder, files in folders:
        try:
            return AroundMemory(os.path.join(folder, files.events), files)
        except OSError:
            continue
    return WatchedMemory()


def _be_ended_first() -> None:
    """Have the kernel choose the calling process, and all it starts, before the worker."""
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(fd, b"1000")
        os.close(fd)
    except OSError:
        pass  # the kernel then chooses by size, and a task is larger than its worker


def _number(fd: int, name: bytes) -> int:
    """Return a number from a file of lines ``name number``; 0 where it is not there."""
    for line in os.pread(fd, _READ_BYTES, 0).splitlines():
        key, _, number = line.partition(b" ")
        if key == name:
            return int(number)
    return 0


def remove_cgroup(folder: str) -> None:
    """Remove a cgroup whose last processes may still be on their way out."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while time.monotonic() < deadline:
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.001)
        else:
            return


def cgroups_of(mark: str) -> list[tuple[str, CgroupFiles, str]]:
    """Return the cgroups that the worker of a mark may have made, the best first.

    Both are to have started in the same one. Each comes with the cgroup that it is left
    for. In version 2 no cgroup with processes can limit those below it, so one beside it
    is a choice too, where that is delegated.
    """
    name = "stepline-" + mark
    found = []
    for home, files in _own_folders():
        found.append((os.path.join(home, name), files, home))
        if files is V2 and os.path.realpath(home) != os.path.realpath(_V2_ROOT):
            found.append((os.path.join(os.path.dirname(home), name), files, home))
    return found


def _own_folders() -> list[tuple[str, CgroupFiles]]:
    """Return the memory cgroups that this process is in."""
    try:
        with open(_OWN_CGROUPS) as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            found.append((_V1_ROOT + path, V1))
        elif not controllers and os.path.exists(_V2_ROOT + "/cgroup.controllers"):
            found.append((_V2_ROOT + path, V2))
    return found

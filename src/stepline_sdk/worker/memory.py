"""Memory limit of a task's process tree.

A cgroup holds the limit where one can be made; elsewhere the resident size of the
tree is looked at every few milliseconds. An address-space limit would be simpler
and is not used: numeric libraries reserve far more than they touch, and abort.
"""

from __future__ import annotations

import os

from stepline_sdk.worker import processes

_MIB = 1024 * 1024
_V1_ROOT = "/sys/fs/cgroup/memory"
_V2_ROOT = "/sys/fs/cgroup"
WATCH_SECONDS = 0.02


def memory_limit() -> CgroupMemory | WatchedMemory:
    """Return the strongest way to limit memory that this machine allows."""
    for folder, files in _candidates():
        try:
            return CgroupMemory(folder, files)
        except OSError:
            continue
    return WatchedMemory()


class CgroupFiles:
    """Names of a memory cgroup's files in one version of the interface."""

    def __init__(self, limit: str, events: str, peak: str) -> None:
        self.limit = limit
        self.events = events
        self.peak = peak


V1 = CgroupFiles("memory.limit_in_bytes", "memory.oom_control", "memory.max_usage_in_bytes")
V2 = CgroupFiles("memory.max", "memory.events", "memory.peak")


class CgroupMemory:
    """A cgroup of the worker's own, which each task's process enters."""

    watch_seconds = None

    def __init__(self, folder: str, files: CgroupFiles) -> None:
        self._folder = folder
        self._files = files
        self._limit: int | None = None
        self._kills_before = 0
        os.mkdir(folder)
        try:
            self._procs = os.open(os.path.join(folder, "cgroup.procs"), os.O_WRONLY)
            self._write(files.limit, "-1" if files is V1 else "max")
        except OSError:
            os.rmdir(folder)
            raise

    def begin(self, limit_mb: int | None) -> None:
        """Set the limit for the task that starts next."""
        self._kills_before = self._kills()
        if limit_mb != self._limit:
            unlimited = "-1" if self._files is V1 else "max"
            self._write(self._files.limit, unlimited if limit_mb is None else str(limit_mb * _MIB))
            self._limit = limit_mb

    def enter(self) -> None:
        """Put the calling process, and so all it starts, under the limit."""
        os.write(self._procs, b"0")

    def exceeded(self, pid: int) -> bool:
        """Tell whether the kernel ended a process of the task for its memory."""
        return self._kills() > self._kills_before

    def close(self) -> None:
        """Remove the cgroup; its processes have ended."""
        os.close(self._procs)
        try:
            os.rmdir(self._folder)
        except OSError:
            pass  # a process is still on its way out; the executor removes it later

    def _kills(self) -> int:
        with open(os.path.join(self._folder, self._files.events)) as file:
            for line in file:
                name, _, number = line.partition(" ")
                if name == "oom_kill":
                    return int(number)
        return 0

    def _write(self, name: str, text: str) -> None:
        with open(os.path.join(self._folder, name), "w") as file:
            file.write(text)


class WatchedMemory:
    """Looks at the resident size of a task's tree from outside."""

    watch_seconds = WATCH_SECONDS

    def __init__(self) -> None:
        self._limit: int | None = None
        self._exceeded = False
        self._page = os.sysconf("SC_PAGE_SIZE")

    def begin(self, limit_mb: int | None) -> None:
        """Set the limit for the task that starts next."""
        self._limit = limit_mb
        self._exceeded = False

    def enter(self) -> None:
        """Nothing to do inside the task."""

    def exceeded(self, pid: int) -> bool:
        """Tell whether the tree below and with ``pid`` is or was over the limit."""
        if self._limit is not None and not self._exceeded:
            used = sum(self._resident(p) for p in [pid, *processes.descendants(pid)])
            self._exceeded = used > self._limit * _MIB
        return self._exceeded

    def close(self) -> None:
        """Nothing to remove."""

    def _resident(self, pid: int) -> int:
        try:
            with open("/proc/%d/statm" % pid) as file:
                return int(file.read().split()[1]) * self._page
        except (OSError, IndexError):
            return 0


def cgroup_name(pid: int) -> str:
    """Return the name of the cgroup that the worker with this process id makes."""
    return "stepline-%d" % pid


def own_folders() -> list:
    """Return (folder, files) of the memory cgroups that this process is in."""
    found = []
    try:
        with open("/proc/self/cgroup") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            found.append((_V1_ROOT + path, V1))
        elif not controllers and os.path.exists(_V2_ROOT + "/cgroup.controllers"):
            found.append((_V2_ROOT + path, V2))
    return found


def _candidates() -> list:
    name = cgroup_name(os.getpid())
    return [(os.path.join(folder, name), files) for folder, files in own_folders()]

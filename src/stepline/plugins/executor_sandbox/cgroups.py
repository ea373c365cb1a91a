"""Cgroups around sandboxes, which the platform makes and removes where it may."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from stepline.errors import PlatformError
from stepline.frozen import frozen
from stepline.workers.held import WORKER_MB, WORKER_PIDS, Held
from stepline.workers.process import remove_cgroup

_ROOT = "/sys/fs/cgroup"
_OWN = "/proc/self/cgroup"
_CONTROLLERS = ("memory", "pids", "cpu")
_PREFIX = "stepline-sandbox-"
_MIB = 1024 * 1024
_PERIOD_US = 100_000
_LEAST_QUOTA_US = 1000
# Far longer than passes between making a cgroup and being in it.
_FORSAKEN_S = 1.0
# Moves its own process into each folder up to "--", then becomes the rest.
_ENTER = (
    'while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs" || exit 125; shift; done; shift; exec "$@"'
)


@frozen
class Place:
    """Where cgroups can be made.

    Attributes:
        version: Of the kernel's interface, 1 or 2.
        folders: By controller, the cgroup to make others in; all the same in version 2.
    """

    version: int
    folders: Mapping[str, str]

    @property
    def holds(self) -> frozenset[str]:
        """The controllers that there are."""
        return frozenset(self.folders)


NOWHERE = Place(2, {})


class Cgroup:
    """A cgroup around one sandbox, in all controllers that there are.

    Args:
        place: Where to make it.
        held: What it holds; more than there are controllers for is ignored.

    Raises:
        PlatformError: It cannot be made.

    Attributes:
        memory: Its folder of the memory controller; empty without one.
    """

    def __init__(self, place: Place, held: Held) -> None:
        name = f"{_PREFIX}{os.getpid()}-{os.urandom(6).hex()}"
        self._version = place.version
        self._folders = {
            controller: os.path.join(parent, name) for controller, parent in place.folders.items()
        }
        self.memory = self._folders.get("memory", "")
        try:
            for folder in dict.fromkeys(self._folders.values()):
                os.mkdir(folder)
            self._hold(held)
        except OSError as error:
            self.remove()
            raise PlatformError(
                f"a cgroup for the task cannot be made or set: {error}", retryable=True
            ) from error

    @property
    def seen_at(self) -> str:
        """Where a worker looks for the memory controller's folder of its own cgroup."""
        return f"{_ROOT}/memory" if self._version == 1 else _ROOT

    def entered_by(self, command: Sequence[str]) -> list[str]:
        """Return a command that runs another one in this cgroup."""
        folders = list(dict.fromkeys(self._folders.values()))
        return entering(folders, command)

    def out_of_memory(self) -> bool:
        """Tell whether the kernel has ended somebody in it for the memory."""
        if not self.memory:
            return False
        name = "memory.oom_control" if self._version == 1 else "memory.events"
        try:
            with open(os.path.join(self.memory, name)) as file:
                told = dict(line.split()[:2] for line in file)
        except (OSError, ValueError):
            return False
        return told.get("oom_kill", "0") != "0"

    def remove(self) -> None:
        """Remove it, a moment after the last process in it has ended."""
        for folder in dict.fromkeys(self._folders.values()):
            remove_cgroup(folder)

    def _hold(self, held: Held) -> None:
        if held.memory_mb is not None and self.memory:
            self._hold_memory((held.memory_mb + WORKER_MB) * _MIB)
        if held.pids is not None and "pids" in self._folders:
            self._write("pids", "pids.max", held.pids + WORKER_PIDS)
        if held.cpus is not None and "cpu" in self._folders:
            quota = max(_LEAST_QUOTA_US, int(held.cpus * _PERIOD_US))
            if self._version == 1:
                self._write("cpu", "cpu.cfs_period_us", _PERIOD_US)
                self._write("cpu", "cpu.cfs_quota_us", quota)
            else:
                self._write("cpu", "cpu.max", f"{quota} {_PERIOD_US}")

    def _hold_memory(self, limit: int) -> None:
        """Limit memory, and swap where there is a way to."""
        if self._version == 1:
            self._write("memory", "memory.limit_in_bytes", limit)
            with suppress(OSError):
                self._write("memory", "memory.swappiness", 0)
            with suppress(OSError):
                self._write("memory", "memory.memsw.limit_in_bytes", limit)
        else:
            self._write("memory", "memory.max", limit)
            with suppress(OSError):
                self._write("memory", "memory.swap.max", 0)

    def _write(self, controller: str, name: str, value: object) -> None:
        with open(os.path.join(self._folders[controller], name), "w") as file:
            file.write(str(value))


def entering(folders: Sequence[str], command: Sequence[str]) -> list[str]:
    """Return a command that runs another one in the cgroups of these folders."""
    return ["/bin/sh", "-c", _ENTER, "sh", *folders, "--", *command] if folders else [*command]


def find_place(*, own: str = _OWN, root: str = _ROOT) -> Place:
    """Return where this process may make cgroups and put processes into them.

    Args:
        own: File that tells the cgroups of this process.
        root: Where the kernel's interface is.
    """
    try:
        with open(own) as file:
            lines = [line.split(":", 2) for line in file.read().splitlines() if line.count(":") > 1]
    except OSError:
        return NOWHERE
    first = {
        controller: os.path.normpath(f"{root}/{controller}{path}")
        for _, controllers, path in lines
        for controller in controllers.split(",")
        if controller in _CONTROLLERS
    }
    folders = {controller: path for controller, path in first.items() if _can_use(path)}
    if folders:
        return Place(1, folders)
    for _, controllers, path in lines:
        if not controllers:
            return _second(root, path)
    return NOWHERE


def remove_forsaken(place: Place) -> None:
    """Remove the cgroups of platforms that are gone."""
    for parent in dict.fromkeys(place.folders.values()):
        with suppress(OSError):
            for name in filter(_is_forsaken, os.listdir(parent)):
                _remove_old(os.path.join(parent, name))


def _is_forsaken(name: str) -> bool:
    pid = name.removeprefix(_PREFIX).partition("-")[0]
    return name.startswith(_PREFIX) and not os.path.exists(f"/proc/{pid}")


def _remove_old(folder: str) -> None:
    with suppress(OSError):
        # Where processes of others cannot be seen, one may be about to enter it.
        if time.time() - os.lstat(folder).st_mtime > _FORSAKEN_S:
            os.rmdir(folder)


def _second(root: str, path: str) -> Place:
    """Return the place in version 2: the own cgroup, or the one that it is in.

    No cgroup with processes may limit those below it, but for the uppermost.
    """
    own = os.path.normpath(root + path)
    parents = [own] if own == os.path.normpath(root) else [own, os.path.dirname(own)]
    for parent in parents:
        if not os.path.exists(os.path.join(parent, "cgroup.controllers")):
            continue
        for controller in _CONTROLLERS:
            with suppress(OSError), open(os.path.join(parent, "cgroup.subtree_control"), "w") as f:
                f.write(f"+{controller}")
        found = [each for each in _CONTROLLERS if _offers(parent, each)]
        if found and _can_use(parent):
            return Place(2, dict.fromkeys(found, parent))
    return NOWHERE


def _offers(parent: str, controller: str) -> bool:
    try:
        with open(os.path.join(parent, "cgroup.subtree_control")) as file:
            return controller in file.read().split()
    except OSError:
        return False


def _can_use(parent: str) -> bool:
    """Tell whether a cgroup can be made in another, and entered."""
    import subprocess

    folder = os.path.join(parent, f"{_PREFIX}{os.getpid()}-{os.urandom(6).hex()}")
    try:
        os.mkdir(folder)
    except OSError:
        return False
    try:
        tried = subprocess.run(
            entering([folder], ["true"]), capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
        return tried.returncode == 0
    finally:
        remove_cgroup(folder)

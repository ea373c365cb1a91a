"""Removal of what a worker left that could not do so itself."""

from __future__ import annotations

import os
import time

from stepline_sdk.worker import processes
from stepline_sdk.worker.folders import remove_tree
from stepline_sdk.worker.memory import cgroups_of, remove_cgroup

_SECONDS = 10.0


def clean(root: str, worker: int) -> None:
    """End the processes of a worker that is gone, and remove its folder and cgroup.

    Where it had no cgroup they are known by the worker's folder, in their environment or
    as the one that they work in.

    Args:
        root: The worker's folder.
        worker: Its process id.
    """
    cgroups = [folder for folder, _ in cgroups_of(worker)]
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        left = {pid for cgroup in cgroups for pid in _members(cgroup)} | set(_users(root))
        if not left:
            break
        for pid in left:
            processes.kill(pid)
        time.sleep(0.002)
    for cgroup in cgroups:
        remove_cgroup(cgroup)
    remove_tree(root)


def _members(cgroup: str) -> list[int]:
    try:
        with open(os.path.join(cgroup, "cgroup.procs")) as file:
            return [int(line) for line in file]
    except OSError:
        return []


def _users(root: str) -> list[int]:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and _uses(pid, root)]


def _uses(pid: int, root: str) -> bool:
    try:
        if os.readlink("/proc/%d/cwd" % pid).startswith(root + os.sep):
            return True
        with open("/proc/%d/environ" % pid, "rb") as file:
            environ = file.read()
        return any(os.fsencode(root + end) in environ for end in (os.sep, "\0"))
    except OSError:
        return False  # it has ended, or belongs to somebody else

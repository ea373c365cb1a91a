"""Removal of what a worker left that could not do so itself."""

from __future__ import annotations

import os
import time

from stepline_sdk.worker import processes
from stepline_sdk.worker.folders import remove_tree
from stepline_sdk.worker.memory import cgroups_of, remove_cgroup

# Tasks and all that they start have it, with a value of chance.
MARK_VARIABLE = "STEPLINE_TASK_MARK"

_SECONDS = 10.0


def clean(root: str, mark: str) -> None:
    """End the processes of a worker that is gone, and remove its folder and cgroup.

    They are those in its cgroup, and those that have its mark in their environment.

    Args:
        root: The worker's folder.
        mark: What tells the worker from all others.
    """
    cgroups = [folder for folder, _, _ in cgroups_of(mark)]
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        left = {pid for cgroup in cgroups for pid in _members(cgroup)} | set(_marked(mark))
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


def _marked(mark: str) -> list[int]:
    variable = os.fsencode("%s=%s" % (MARK_VARIABLE, mark))
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and variable in _environ(pid)]


def _environ(pid: int) -> list[bytes]:
    try:
        with open("/proc/%d/environ" % pid, "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []  # it has ended, or belongs to somebody else

"""Whose a container is: the platform's process that made it, so that orphans are known."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from stepline.errors import SteplineError

if TYPE_CHECKING:
    from stepline.ports.engine import ContainerEngine

TASKS = "executor-docker"
"""What the containers of an executor are made for."""

BUILDS = "build"
"""What the containers in which images are made are made for."""


def own_name(kind: str) -> str:
    """Return what tells this process from all others, of this machine and of others.

    Args:
        kind: What it makes containers for.
    """
    pid = os.getpid()
    return ":".join(
        [*_surroundings(kind), _read("/proc/sys/kernel/random/boot_id"), f"{pid}", _start(pid)]
    )


def is_orphaned(owner: str, *, kind: str) -> bool:
    """Tell whether an owner is known to be gone.

    It is so only of platforms on this machine that are this user's, and whose process ids
    mean the same as here: nothing is known of others.

    Args:
        owner: What `own_name` returned in some process.
        kind: What it made containers for; others are none of ours.
    """
    *surroundings, boot, pid, start = (owner.split(":") + [""] * 6)[:7]
    if surroundings != _surroundings(kind) or not pid.isdecimal():
        return False
    return boot != _read("/proc/sys/kernel/random/boot_id") or start != _start(int(pid))


def remove_orphans(engine: ContainerEngine, *, kinds: Collection[str] = (TASKS, BUILDS)) -> None:
    """Remove the containers of processes that were killed; one that cannot be now is left.

    Args:
        engine: Where they are.
        kinds: What they were made for.

    Raises:
        PlatformError: The engine does not tell what there is.
    """
    for container in engine.containers():
        if any(is_orphaned(container.owner, kind=kind) for kind in kinds):
            with suppress(SteplineError):
                container.remove()


def _surroundings(kind: str) -> list[str]:
    machine = _read("/etc/machine-id") or socket.gethostname()
    return [kind, machine, str(os.stat("/proc/self/ns/pid").st_ino), str(os.geteuid())]


def _start(pid: int) -> str:
    """Return when a process started, in ticks since the boot; empty where it has ended."""
    state, *rest = _read(f"/proc/{pid}/stat").rpartition(")")[2].split() or [""]
    return "" if state in ("", "Z", "X") else rest[18]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""

"""What is around a worker holds its tasks to more than the worker can."""

from __future__ import annotations

from stepline.frozen import frozen
from stepline.model.task import Limits, Network

# What the worker, the first process around it and the copies that wait for tasks take.
WORKER_MB = 24
WORKER_PIDS = 7
PIDS = 4096
"""Processes and threads of a task for which nobody set a limit: fewer than bring down a machine."""
SHARED_MEMORY_BYTES = 16 * 1024 * 1024
"""Largest size of ``/dev/shm``, a place to write to that no limit of its own holds."""


@frozen
class Held:
    """Limits that what is around a worker holds, so they are those of all its tasks.

    Attributes:
        memory_mb: Memory of the task, MiB.
        pids: Processes and threads of the task.
        cpus: Processors, as a share of time.
        tmp_bytes: Temporary space, bytes.
        network: What the task may reach.
    """

    memory_mb: int | None
    pids: int | None
    cpus: float | None
    tmp_bytes: int | None
    network: Network

    @classmethod
    def by(cls, limits: Limits) -> Held:
        """Return what is held of an attempt's limits."""
        pids = PIDS if limits.pids is None else limits.pids
        return cls(limits.memory_mb, pids, limits.cpus, limits.tmp_bytes, limits.network)


def shared_memory_bytes(tmp_bytes: int | None) -> int:
    """Return the size of ``/dev/shm``.

    Args:
        tmp_bytes: Temporary space, bytes; None for any.
    """
    return SHARED_MEMORY_BYTES if tmp_bytes is None else min(tmp_bytes, SHARED_MEMORY_BYTES)

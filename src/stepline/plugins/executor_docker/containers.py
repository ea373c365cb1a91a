"""What a container for tasks is like: its command, mounts, environment and limits."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace

import stepline_sdk
from stepline.frozen import frozen
from stepline.model.image import Image
from stepline.model.task import Limits, Network
from stepline.plugins.executor_docker.folders import SOCKET, SharedFolder
from stepline.ports.engine import ContainerSpec, Mount

SCRATCH = "/run/stepline-scratch"
_SOCKETS = "/run/stepline"
_SDK = "/opt/stepline/sdk/stepline_sdk"
_ROOT = "/tmp/stepline"
# What the worker, the engine's own first process and the copies that wait for tasks take.
_WORKER_MB = 24
_WORKER_PIDS = 7


@frozen
class Held:
    """What a container, rather than the worker in it, holds a task to.

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
        return cls(limits.memory_mb, limits.pids, limits.cpus, limits.tmp_bytes, limits.network)

    def with_worker(self) -> Limits:
        """Return the container's limits: those of the task, and a little for the worker."""
        memory_mb = None if self.memory_mb is None else self.memory_mb + _WORKER_MB
        pids = None if self.pids is None else self.pids + _WORKER_PIDS
        return replace(Limits(**vars(self)), memory_mb=memory_mb, pids=pids)


def worker_container(
    image: Image, held: Held, folder: SharedFolder, *, owner: str, task_env: Mapping[str, str]
) -> ContainerSpec:
    """Return the container of a worker that connects to the folder's socket."""
    start = f"{_SDK}/worker/start.py"
    connect = ["--socket", f"{_SOCKETS}/{SOCKET}", "--root", _ROOT]
    return ContainerSpec(
        image=image.id,
        command=[image.python, "-I", "-X", "utf8", start, *connect],
        owner=owner,
        environ=_environment(image, task_env),
        mounts=[
            Mount(source=os.path.dirname(stepline_sdk.__file__), target=_SDK),
            Mount(source=folder.sockets, target=_SOCKETS),
            Mount(source=folder.scratch, target=SCRATCH, read_only=False),
        ],
        limits=held.with_worker(),
        user=folder.user,
        folder="/",
    )


def _environment(image: Image, task_env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the container has besides those of its image."""
    given = json.loads(image.config).get("config", {}).get("Env") or []
    language = {} if any(each.startswith("LANG=") for each in given) else {"LANG": "C.UTF-8"}
    # The worker takes the last one away, so that tasks do not see it.
    return {**language, "HOME": _ROOT, "TMPDIR": _ROOT, "LD_BIND_NOW": "worker", **task_env}

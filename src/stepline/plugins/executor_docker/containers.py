"""What a container for tasks is like: its command, mounts, environment and limits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from stepline.model.image import Image
from stepline.model.task import Limits
from stepline.plugins.executor_docker.folders import SOCKET, ContainerFolder
from stepline.ports.engine import ContainerSpec, Mount
from stepline.workers.held import WORKER_MB, WORKER_PIDS, Held
from stepline.workers.imaged import task_variables
from stepline.workers.inside import SDK, TASK, worker_root
from stepline.workers.process import START

_SOCKETS = "/run/stepline"


def worker_container(
    image: Image, held: Held, *, folder: ContainerFolder, owner: str, task_env: Mapping[str, str]
) -> ContainerSpec:
    """Return the container of a worker that connects to the folder's socket."""
    root = worker_root(held.tmp_bytes)
    connect = ["--socket", f"{_SOCKETS}/{SOCKET}", "--root", root]
    return ContainerSpec(
        image=image.id,
        command=[image.python, "-I", "-X", "utf8", f"{SDK}/worker/start.py", *connect],
        owner=owner,
        environ=task_variables(image, held, task_env=task_env),
        mounts=[
            Mount(source=os.path.dirname(os.path.dirname(START)), target=SDK),
            Mount(source=folder.sockets, target=_SOCKETS),
            Mount(source=folder.mounted, target=TASK, read_only=False),
        ],
        limits=_with_worker(held),
        user=folder.user,
        folder="/",
    )


def _with_worker(held: Held) -> Limits:
    """Return a container's limits: those of the task, and a little for the worker."""
    memory_mb = None if held.memory_mb is None else held.memory_mb + WORKER_MB
    pids = None if held.pids is None else held.pids + WORKER_PIDS
    return replace(Limits(**vars(held)), memory_mb=memory_mb, pids=pids)

"""An executor ``docker`` with a task script on it, for tests."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stepline.model.task import Isolation, Limits
from stepline.plugins.executor_docker.executor import DockerExecutor
from stepline.ports.engine import Container, ContainerEngine, ContainerSpec, Mount
from stepline.ports.executor import ExecutorOptions
from stepline.ports.images import Images
from stepline.workers.pool import IDLE_SECONDS
from tests.support.executors import LIMITS, OUTCOMES, Bench


class SharingEngine:
    """An engine whose containers get one more folder, under the same path as here.

    Args:
        engine: The engine.
        folder: The folder.

    Attributes:
        started: The containers that it started.
    """

    def __init__(self, engine: ContainerEngine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self.started: list[Container] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def start(self, spec: ContainerSpec) -> Container:
        """Make and start a container."""
        self._folder.mkdir(exist_ok=True)
        mount = Mount(source=str(self._folder), target=str(self._folder), read_only=False)
        container = self._engine.start(replace(spec, mounts=[*spec.mounts, mount]))
        self.started.append(container)
        return container


class DockerBench(Bench):
    """An executor ``docker`` and a task script.

    Args:
        engine: The engine.
        images: Images with a base of the runtime.
        folder: An empty folder.
        idle_s: Seconds after which a container without a task is ended.
        choices: What else a bench takes.
    """

    code_inside = "/opt/stepline/script"
    image_variables = frozenset({"HOSTNAME"})

    def __init__(
        self,
        engine: ContainerEngine,
        images: Images,
        folder: Path,
        *,
        isolation: Isolation = Isolation.FORK,
        limits: Limits = LIMITS,
        code: Path = OUTCOMES,
        task_env: Mapping[str, str] | None = None,
        idle_s: float = IDLE_SECONDS,
    ) -> None:
        self.engine = SharingEngine(engine, folder / "shared")
        options = ExecutorOptions(
            isolation=isolation,
            task_env=task_env or {},
            images=lambda: images,
            engine=lambda: self.engine,
            scratch=str(folder / "tmp"),
        )
        (folder / "tmp").mkdir()
        executor = DockerExecutor(options, environ=os.environ, idle_s=idle_s)
        super().__init__(
            executor, folder, code=code, runtime="3.11", isolation=isolation, limits=limits
        )

    def remains(self) -> list[str]:
        """Return what is left in the executor's folder, and its containers."""
        ids = {container.id for container in self.engine.started}
        left = [each.id for each in self.engine.containers() if each.id in ids]
        return [*super().remains(), *left]

    def _digest(self, targets: Sequence[str]) -> str:
        """Return the same for all functions of a module, since there is an image for each."""
        return super()._digest(sorted({target.rpartition(".")[0] for target in targets}))

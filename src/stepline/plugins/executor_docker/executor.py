"""The executor: warm containers, each of one image and held to the same limits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from stepline.errors import PlatformError, SteplineError
from stepline.model.image import Image
from stepline.model.task import Limits
from stepline.plugins.executor_docker.containers import worker_container
from stepline.plugins.executor_docker.folders import ContainerFolder
from stepline.plugins.executor_docker.host import ContainerHost
from stepline.ports.engine import Container
from stepline.ports.executor import ExecutorOptions, ScriptVersion, Seat
from stepline.workers import owners
from stepline.workers.held import Held
from stepline.workers.imaged import ImageExecutor, ImageKey
from stepline.workers.inside import TEMPORARY
from stepline.workers.loading import load_image
from stepline.workers.pool import IDLE_SECONDS
from stepline.workers.roots import PlatformRoot, remove_forsaken, root_name
from stepline.workers.warm import WarmPlace
from stepline.workers.worker import Load, Worker

_TIDY_SECONDS = 15.0


class DockerExecutor(ImageExecutor):
    """Runs tasks in containers, one task at a time in each.

    Args:
        options: How tasks are treated.
        environ: Environment of the platform.
        idle_s: Seconds after which a container without a task is ended.
    """

    name = "docker"

    def __init__(
        self,
        options: ExecutorOptions,
        *,
        environ: Mapping[str, str],
        idle_s: float = IDLE_SECONDS,
    ) -> None:
        self._engine = options.engine()
        super().__init__(options, check=self._engine.check, ready=self._load, idle_s=idle_s)
        self._owner = owners.own_name(owners.TASKS)
        self._folders = PlatformRoot(options.scratch, "docker", environ=environ)
        self._environ = environ
        self._strays: list[Container] = []
        self._tidying = threading.Thread(target=self._remove_orphans, daemon=True)
        self._tidying.start()

    def prepare(
        self,
        version: ScriptVersion,
        *,
        tell: Callable[[str], None] | None = None,
        renew: bool = False,
    ) -> str:
        """Make the version's image, or find it made, and have the engine hold it."""
        return self._images.get(version, tell, renew=renew).id

    @contextmanager
    def seat(self, version: ScriptVersion, limits: Limits) -> Iterator[Seat]:
        """Take a container for one attempt."""
        image = self._images.get(version)
        key = self._images.key(version, image, held=Held.by(limits))
        with self._seat(version, key, start=self._start, fresh=limits.fresh) as seat:
            yield seat

    def close(self) -> None:
        """Remove all containers and their folders."""
        self._pool.close()
        self._tidying.join(_TIDY_SECONDS)
        with suppress(SteplineError):
            for container in self._engine.containers(self._owner):
                container.remove()
        self._folders.close()

    def _load(self, image: Image) -> None:
        """Have the engine hold an image."""
        images = self._options.images()
        load_image(
            image,
            self._engine,
            write=lambda file, without: images.write_archive(image, file, without=without),
        )

    def _start(self, version: ScriptVersion, key: ImageKey) -> WarmPlace:
        self._remove_strays()
        image = self._images.get(version)
        try:
            return self._started(image, key)
        except PlatformError:
            if self._engine.image(image.id) is not None:
                raise
            # Somebody has removed it meanwhile.
            image = self._images.again(version, key.image)
        return self._started(image, key)

    def _started(self, image: Image, key: ImageKey) -> WarmPlace:
        folder = ContainerFolder(self._folders.new_path())
        spec = worker_container(
            image, key.held, folder=folder, owner=self._owner, task_env=self._options.task_env
        )
        host = ContainerHost(
            lambda: self._engine.start(spec),
            folder,
            python=f"{image.python} of {image.id}",
            stray=self._strays.append,
        )
        load = Load(image.code, self._options.isolation, key.modules, "around", TEMPORARY)
        return WarmPlace(Worker(host, load), folder)

    def _remove_strays(self) -> None:
        """Remove containers that could not be removed when they should have been."""
        while True:
            try:
                container = self._strays.pop()
            except IndexError:
                return  # also where another thread took the last one
            try:
                container.remove()
            except SteplineError:
                self._strays.append(container)
                return

    def _remove_orphans(self) -> None:
        """Remove what platforms have left that were killed."""
        with suppress(SteplineError):
            owners.remove_orphans(self._engine)
        remove_forsaken(root_name(self._environ))

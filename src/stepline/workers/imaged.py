"""Images of task scripts, as executors use them that run tasks in images."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from stepline.errors import PlatformError
from stepline.frozen import frozen
from stepline.model.image import Image
from stepline.model.task import Isolation
from stepline.ports.executor import ExecutorOptions, ScriptVersion, Seat
from stepline.ports.freed import Freed
from stepline.ports.images import Tell
from stepline.workers.fitness import Fitness
from stepline.workers.held import Held
from stepline.workers.inside import SCRATCH, worker_root
from stepline.workers.pool import IDLE_SECONDS, WorkerPool
from stepline.workers.seat import WorkerSeat
from stepline.workers.warm import WarmPlace

_Source = tuple[str, str]


@frozen
class ImageKey:
    """What a warm worker in an image is good for.

    Attributes:
        image: Id of the image.
        modules: Modules that it has imported.
        held: What it is held to.
    """

    image: str
    modules: tuple[str, ...]
    held: Held


class VersionImages:
    """The image of each task script, as it was when it was last looked at.

    Several threads may ask; an image is made once.

    Args:
        options: Where images are from.
        ready: Called with an image before it is used for the first time.
    """

    def __init__(
        self, options: ExecutorOptions, ready: Callable[[Image], None] = lambda image: None
    ) -> None:
        self._options = options
        self._ready = ready
        self._images: dict[_Source, Image] = {}
        self._locks: defaultdict[_Source, threading.Lock] = defaultdict(threading.Lock)

    def get(
        self, version: ScriptVersion, tell: Tell | None = None, *, renew: bool = False
    ) -> Image:
        """Return a version's image, making it if need be.

        Args:
            version: The task script.
            tell: Takes lines about the making; None for that of the options.
            renew: Whether to look again, and take another image if it is gone.
        """
        source = _source(version)
        with self._locks[source]:
            if renew or source not in self._images:
                tell = tell or self._options.tell
                image = self._options.images().build(version, tell=tell, renew=renew)
                self._ready(image)
                self._images[source] = image
            return self._images[source]

    def again(self, version: ScriptVersion, image_id: str) -> Image:
        """Return a version's image, which was found gone, after making it once more.

        Args:
            version: The task script.
            image_id: The image that is needed.

        Raises:
            ConfigError: It would be made another one.
            PlatformError: It was replaced by another one meanwhile.
        """
        with self._locks[_source(version)]:
            self._images.pop(_source(version), None)
        image = self.get(version)
        if image.id != image_id:
            raise PlatformError(f"the image {image_id} is gone", retryable=True)
        return image

    def key(self, version: ScriptVersion, image: Image, *, held: Held) -> ImageKey:
        """Return what a worker has to be good for that serves a version.

        Args:
            version: The task script.
            image: Its image.
            held: What the worker is held to.
        """
        modules: set[str] = set()
        if self._options.isolation is Isolation.FORK:
            modules = {function.module for function in version.script.functions}
        return ImageKey(image.id, tuple(sorted(modules)), held)


class ImageExecutor:
    """What executors have in common that run tasks in images, in warm places.

    Args:
        options: How tasks are treated.
        check: Raises where this machine cannot run tasks at all.
        ready: Called with an image before it is used for the first time.
        idle_s: Seconds after which a place without a task is given up.
    """

    def __init__(
        self,
        options: ExecutorOptions,
        *,
        check: Callable[[], object],
        ready: Callable[[Image], None] = lambda image: None,
        idle_s: float = IDLE_SECONDS,
    ) -> None:
        self._options = options
        self._fitness = Fitness(check)
        self._images = VersionImages(options, ready)
        self._pool: WorkerPool[ImageKey, WarmPlace] = WorkerPool(idle_s=idle_s)

    def warm_up(self, version: ScriptVersion) -> None:
        """Nothing: what a first task needs depends on its limits."""

    def remove_unused(
        self, versions: Sequence[ScriptVersion], *, before: float, dry_run: bool = False
    ) -> Freed:
        """Return that nothing was removed: images have a command of their own for that."""
        del versions, before, dry_run
        return Freed()

    def faults(self, *, anew: bool = False) -> Sequence[str]:
        """Return why no task can be run here, if none can."""
        return self._fitness.faults(anew=anew)

    def cancel(self, task_id: str) -> None:
        """End the running attempt of a task, or the next one as soon as it begins."""
        self._pool.cancel(task_id)

    @contextmanager
    def _seat(
        self,
        version: ScriptVersion,
        key: ImageKey,
        *,
        start: Callable[[ScriptVersion, ImageKey], WarmPlace],
        fresh: bool,
    ) -> Iterator[Seat]:
        """Lend a place for one attempt, and tidy up after it.

        Args:
            version: The task script.
            key: What the place has to be good for.
            start: Makes one where none is idle.
            fresh: Whether it serves this attempt alone.
        """
        lent = self._pool.lend(key, lambda: start(version, key), keep=not fresh)
        with lent as place:
            scratch = place.folder.scratch
            try:
                yield WorkerSeat(
                    place.worker, version, pool=self._pool, scratch=scratch, inside=SCRATCH
                )
            finally:
                place.tidy()


def image_variables(image: Image) -> dict[str, str]:
    """Return the variables that an image gives."""
    config = json.loads(image.config).get("config") or {}
    return dict(each.partition("=")[::2] for each in config.get("Env") or ())


def task_variables(image: Image, held: Held, *, task_env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a worker gets besides those of its image.

    Args:
        image: The image.
        held: What the worker is held to.
        task_env: What tasks are given.
    """
    root = worker_root(held.tmp_bytes)
    language = {} if "LANG" in image_variables(image) else {"LANG": "C.UTF-8"}
    # The worker takes the last one away, so that tasks do not see it.
    return {**language, "HOME": root, "TMPDIR": root, "LD_BIND_NOW": "worker", **task_env}


def _source(version: ScriptVersion) -> _Source:
    """Return what an image is made of."""
    return version.digest, version.runtime

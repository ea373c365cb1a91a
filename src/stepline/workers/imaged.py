"""Images of task scripts, as executors use them that run tasks in images."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from stepline.errors import PlatformError
from stepline.frozen import frozen
from stepline.model.image import Image
from stepline.model.task import Isolation
from stepline.ports.executor import ExecutorOptions, ScriptVersion, Seat
from stepline.ports.images import Tell
from stepline.workers.held import Held
from stepline.workers.inside import SCRATCH, worker_root
from stepline.workers.pool import WorkerPool
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


@contextmanager
def imaged_seat(
    pool: WorkerPool[ImageKey, WarmPlace],
    key: ImageKey,
    *,
    start: Callable[[], WarmPlace],
    version: ScriptVersion,
    fresh: bool,
) -> Iterator[Seat]:
    """Lend a worker in an image for one attempt, and tidy up after it.

    Args:
        pool: Where it is from.
        key: What it has to be good for.
        start: Starts one where none is idle.
        version: The task script.
        fresh: Whether it serves this attempt alone.
    """
    with pool.lend(key, start, keep=not fresh) as place:
        scratch = place.folder.scratch
        try:
            yield WorkerSeat(place.worker, version, pool=pool, scratch=scratch, inside=SCRATCH)
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

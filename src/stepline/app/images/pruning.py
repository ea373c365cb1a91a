"""Room on the disk, from images and containers that nobody needs any more."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress

from stepline.app.images.outcomes import Outcomes
from stepline.app.images.services import remove_forsaken
from stepline.errors import PlatformError, UserError
from stepline.frozen import frozen
from stepline.model.image import ImageBuild
from stepline.ports.engine import ContainerEngine
from stepline.ports.images import Images
from stepline.workers.owners import remove_orphans


@frozen(kw_only=True)
class Fate:
    """What becomes of an image.

    Attributes:
        build: The image.
        kept: Why it is kept; empty where it is removed.
    """

    build: ImageBuild
    kept: str = ""


@frozen(kw_only=True)
class Pruned:
    """What pruning did, or would do.

    Attributes:
        fates: Of all images, oldest first.
        freed_bytes: On this machine and in its engine; 0 where nothing was to be removed.
    """

    fates: tuple[Fate, ...]
    freed_bytes: int


def prune(
    images: Images,
    engine: Callable[[], ContainerEngine] | None,
    *,
    pinned: Collection[str],
    outcomes: Outcomes,
    dry_run: bool,
    only: str = "",
) -> Pruned:
    """Remove the images that nothing needs: no tag, published version or container.

    Args:
        images: Images of this machine.
        engine: Returns the engine; None if what it holds and runs does not count.
        pinned: Digests of the task scripts of published versions.
        outcomes: Outcomes of tests, forgotten with their images.
        dry_run: Remove nothing.
        only: Id of the one image that may be removed; empty for all.

    Raises:
        PlatformError: The engine cannot be asked what it holds and runs; nothing is removed.
    """
    used = _Used(_asked(engine) if engine is not None else None)
    if not dry_run:
        used.remove_forsaken()
    builds = [build for build in images.builds() if only in ("", build.image.id)]
    fates = tuple(Fate(build=build, kept=_reason(build, pinned, used)) for build in builds)
    freed = 0
    for fate in fates if not dry_run else ():
        if not fate.kept:
            image_id = fate.build.image.id
            freed += used.remove(image_id) + images.remove(image_id)
            outcomes.remove(image_id)
    return Pruned(fates=fates, freed_bytes=freed)


def _asked(engine: Callable[[], ContainerEngine]) -> ContainerEngine:
    """Return an engine that answers."""
    try:
        found = engine()
        found.check()
    except PlatformError as error:
        further = "add --no-engine if none here ever held an image of Stepline"
        raise PlatformError(
            f"{error.what}; which images are tagged or run is not known, so none is removed",
            hint=f"{error.hint}; or {further}" if error.hint else further,
            retryable=error.retryable,
        ) from error
    return found


def _reason(build: ImageBuild, pinned: Collection[str], used: _Used) -> str:
    if build.script in pinned:
        return "published"
    return used.reason(build.image.id)


class _Used:
    """What a container engine holds, if one counts."""

    def __init__(self, engine: ContainerEngine | None) -> None:
        self._engine = engine
        self._running: set[str] = set()
        self._look()

    def _look(self) -> None:
        if self._engine is not None:
            self._running = {container.image for container in self._engine.containers()}

    def remove_forsaken(self) -> None:
        """Remove containers of processes that were killed; others see to their own."""
        if self._engine is None:
            return
        remove_forsaken(self._engine)
        remove_orphans(self._engine)
        self._look()

    def reason(self, image_id: str) -> str:
        """Return why the engine needs an image; empty where it does not."""
        if image_id in self._running:
            return "running"
        held = self._engine.image(image_id) if self._engine is not None else None
        return f"tagged {held.tags[0]}" if held is not None and held.tags else ""

    def remove(self, image_id: str) -> int:
        """Remove an image of the engine; return the freed bytes."""
        if self._engine is None or self._engine.image(image_id) is None:
            return 0
        with suppress(UserError):  # somebody has begun to use it just now
            return self._engine.remove_image(image_id)
        return 0

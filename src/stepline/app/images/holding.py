"""Images of this machine, in its container engine."""

from __future__ import annotations

from collections.abc import Callable

from stepline.errors import UserError
from stepline.model.image import Image, ImageBuild
from stepline.ports.engine import ContainerEngine, Credential, EngineImage
from stepline.ports.images import Images
from stepline.workers.loading import load_image

_SHORTEST = 4


def hold(image: Image, *, images: Images, engine: ContainerEngine) -> None:
    """Have an engine hold an image.

    Raises:
        PlatformError: It does not take it, or takes it for another.
    """
    load_image(
        image,
        engine,
        write=lambda file, without: images.write_archive(image, file, without=without),
    )


def find_build(images: Images, words: str) -> ImageBuild:
    """Return an image by its id or the begin of it, or by the name of its task script.

    Raises:
        UserError: There is none, or several.
    """
    builds = images.builds()
    digits = words.removeprefix("sha256:")
    found = [build for build in builds if build.name == words][-1:]
    if not found and len(digits) >= _SHORTEST:
        found = [b for b in builds if b.image.id.removeprefix("sha256:").startswith(digits)]
    if len(found) == 1:
        return found[0]
    if not found:
        hint = "`stepline image list` shows all; a folder's is made by `stepline image build`"
        raise UserError(f"this machine has no image {words}", hint=hint)
    ids = ", ".join(build.image.id.removeprefix("sha256:")[: len(digits) + 4] for build in found)
    raise UserError(f"{words} begins the ids of several images: {ids}", hint="write more of it")


def fetch(
    engine: ContainerEngine, reference: str, *, credential: Callable[[str], Credential | None]
) -> EngineImage:
    """Return an image that is not ours, fetched unless the engine has it.

    Raises:
        UserError: The registry refuses, or does not have it.
    """
    return engine.image(reference) or engine.pull(reference, credential(reference))

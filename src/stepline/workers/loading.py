"""Images of this machine, in a container engine."""

from __future__ import annotations

from stepline.errors import PlatformError
from stepline.model.image import Image
from stepline.ports.engine import ContainerEngine, WriteArchive


def load_image(image: Image, engine: ContainerEngine, *, write: WriteArchive) -> None:
    """Have an engine hold an image.

    Args:
        image: The image.
        engine: The engine; nothing is sent where it has the image.
        write: Writes the image as an archive.

    Raises:
        PlatformError: It does not take it, or takes it for another.
    """
    if engine.image(image.id) is not None:
        return
    loaded = engine.load([layer.digest for layer in image.layers], write)
    if loaded != image.id:
        raise PlatformError(
            f"the engine took the image {image.id} for {loaded}",
            hint="remove the image there, and build it again: `stepline image build`",
        )

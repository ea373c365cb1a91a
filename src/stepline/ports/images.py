"""Images of task scripts: made once from their content, found in milliseconds after."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from stepline.frozen import frozen
from stepline.model.image import BaseImage, BaseVariant, Image, ImageBuild, Layer, Package
from stepline.ports.engine import ContainerEngine, Credential
from stepline.ports.executor import ScriptVersion

Tell = Callable[[str], None]
"""Takes a line about what is going on, for people."""


@frozen(kw_only=True)
class ImageOptions:
    """Where images are kept, and what they are made of.

    Attributes:
        folder: Folder of all images, bases and layers; it need not exist.
        bases: References of base images by runtime, ``3.N``, and by ``3.N-hook``.
        engine: Returns the container engine.
        credential: Returns what the registry of a reference asks for; None for nothing.
        allow_before_install: Let hooks, and what else runs as root while an image is made,
            do so on this machine where no container engine answers.
    """

    folder: Path
    bases: Mapping[str, str]
    engine: Callable[[], ContainerEngine]
    credential: Callable[[str], Credential | None]
    allow_before_install: bool = False


class Images(Protocol):
    """The images of one machine; several threads and processes may use it at once."""

    def build(self, version: ScriptVersion, *, tell: Tell, renew: bool = False) -> Image:
        """Make the image of a task script, or find it made.

        A script that was built keeps its image, also when its base has changed since. An
        image that was removed is made again; it has to be the same one.

        Args:
            version: The task script.
            tell: Takes lines about what is going on.
            renew: Whether another image may take the place of one that was removed. One
                that is there stays.

        Raises:
            ConfigError: The version's own files are at fault: a requirement without a
                wheel, a hook that fails, a stale lock file; or its image is gone, and made
                again it is another one.
            PlatformError: This machine cannot make it: no base for the runtime, no
                engine for the hook, a full disk.
        """

    def get(self, image_id: str) -> ImageBuild | None:
        """Return what is known of an image; None for one that this machine did not make."""

    def builds(self) -> Sequence[ImageBuild]:
        """Return all images of task scripts, oldest first."""

    def layer(self, layer: Layer) -> Path:
        """Return the file of a layer's tar.

        Raises:
            PlatformError: It is not on this machine.
        """

    def write_archive(self, image: Image, file: BinaryIO, *, without: Collection[str] = ()) -> None:
        """Write an image as a docker-archive, which engines load.

        Args:
            image: The image.
            file: Where to; written to front to back.
            without: Digests of layers to leave out, since the engine has them.
        """

    def root(self, image: Image) -> Path:
        """Return a folder with the image's files, which nobody may change; made once."""

    def software(self, image: Image) -> Sequence[Package]:
        """Return the software in an image, read from its files, sorted by system and name."""

    def sbom(self, image: Image) -> str:
        """Return the software list of an image as CycloneDX JSON."""

    def remove(self, image_id: str) -> int:
        """Remove an image, and layers that no other one has; return the freed bytes."""

    # Bases.

    def build_base(self, suite: str, variant: BaseVariant, *, tell: Tell) -> BaseImage:
        """Make a base image from Debian packages.

        Raises:
            UserError: There is no such suite.
            PlatformError: The packages cannot be had, or a tool for it is missing.
        """

    def base(self, runtime: str, variant: BaseVariant, *, tell: Tell) -> BaseImage:
        """Return the base image of a runtime, fetched where settings or a registry have one.

        Raises:
            PlatformError: There is none; the error names the runtimes that there are.
        """

    def bases(self) -> Sequence[BaseImage]:
        """Return all base images of this machine."""

    def remove_base(self, image_id: str) -> int:
        """Remove a base image that no image is made of; return the freed bytes."""

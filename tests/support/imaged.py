"""Projects whose tasks run in images, and images and bases that tests make for them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from stepline.errors import SteplineError
from stepline.model.image import BaseImage, Image, Layer, LayerKind
from stepline.plugins.images_local.archive import write_archive
from stepline.plugins.images_local.configs import image_config, image_id
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.tars import write_folder
from stepline.ports.engine import ContainerEngine, Credential
from stepline.ports.images import Images
from tests.support.projects import Project

_PASSED_ON = ("STEPLINE_IMAGES_DIR", "DOCKER_HOST")
_MADE = "private-demo/"


class ImagedProject(Project):
    """A project that has images and a container engine.

    Args:
        folder: An empty folder.
        cache: Value of STEPLINE_CACHE_DIR.
        environ: Environment that names both.
    """

    def __init__(self, folder: Path, cache: Path, environ: Mapping[str, str]) -> None:
        super().__init__(folder, cache)
        self.environ.update({name: environ[name] for name in _PASSED_ON if name in environ})


def forget_images(images: Images, engine: ContainerEngine, *, but: Collection[str]) -> None:
    """Have the engine remove the images of projects, but for some."""
    for build in images.builds():
        if build.image.id not in but and build.name.startswith(_MADE):
            with suppress(SteplineError):
                engine.remove_image(build.image.id)


def own_images_dir(shared: Path, folder: Path) -> Path:
    """Make a folder of images with the bases of another one, which stays as it is."""
    (folder / "layers").mkdir(parents=True)
    shutil.copytree(shared / "notes" / "bases", folder / "notes" / "bases")
    for layer in (shared / "layers").iterdir():
        (folder / "layers" / layer.name).symlink_to(layer)
    return folder


def variant_of(base: BaseImage, store: LayerStore, text: str) -> Image:
    """Return a base with one more file, ``/variant``."""
    with store.temporary() as work:
        (work / "root").mkdir()
        (work / "root" / "variant").write_text(text)
        with (work / "tar").open("wb") as file:
            write_folder(work / "root", file, prefix="")
        layers = (*base.image.layers, store.add(work / "tar", LayerKind.BASE))
    config = image_config(list(layers), json.loads(base.image.config)["config"])
    return replace(base.image, id=image_id(config), config=config, layers=layers)


def put_newer_base(folder: Path, base: BaseImage, text: str) -> None:
    """Put a variant of a base into a folder of images, as if it were built now."""
    store = LayerStore(folder)
    made_at = datetime.now(UTC).isoformat(timespec="microseconds")
    newer = replace(base, image=variant_of(base, store, text), made_at=made_at)
    key = f"{newer.image.id.removeprefix('sha256:')}-{base.variant.value}"
    store.put_note("bases", key, note=newer.to_plain())


class Publisher:
    """Puts variants of a base into a registry.

    Args:
        engine: The engine that sends them; it keeps none.
        base: What they are variants of.
        folder: Folder of images with the base.
    """

    def __init__(self, engine: ContainerEngine, base: BaseImage, folder: Path) -> None:
        self._engine = engine
        self._base = base
        self._store = LayerStore(folder)

    def publish(self, reference: str, text: str, *, credential: Credential | None = None) -> str:
        """Send a variant; return its reference by digest."""
        image = variant_of(self._base, self._store, text)
        layers = [layer.digest for layer in image.layers]
        self._engine.load(layers, _writer(image, self._store.path))
        self._engine.tag(image.id, reference)
        digest = self._engine.push(image.id, reference, credential=credential)
        self._engine.untag(reference)
        return f"{reference.rpartition(':')[0]}@{digest}"


def _writer(
    image: Image, path: Callable[[Layer], Path]
) -> Callable[[BinaryIO, Collection[str]], None]:
    def write(file: BinaryIO, without: Collection[str]) -> None:
        write_archive(image, file, path=path, without=without)

    return write

"""One image on its way: its layers one after another, from the base up."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stepline.errors import ConfigError, Location
from stepline.frozen import frozen
from stepline.model.image import Image, ImageBuild, Layer, LayerKind
from stepline.packages.uv import mask_credentials
from stepline.plugins.images_local.configs import CODE, Contents, derived_image
from stepline.plugins.images_local.folder_changes import FolderChanges
from stepline.plugins.images_local.ground import Ground, Site, hook_bases, lay_ground
from stepline.plugins.images_local.packages import BuildWheels, Locked, PackageLayers
from stepline.plugins.images_local.tars import write_folder
from stepline.plugins.images_local.wheels import Place
from stepline.ports.executor import ScriptVersion

if TYPE_CHECKING:
    from stepline.plugins.images_local.components import Component, Components

_CONFIG = Location("config.json")
_MB = 1_000_000
_LARGEST = 3


@frozen(kw_only=True)
class Code:
    """A task script's folder as it goes into the image.

    Attributes:
        folder: The folder, changed as its hook did.
        executable: Paths of the files that may be run; None for those that may be now.
    """

    folder: Path
    executable: tuple[str, ...] | None = ()


class Assembly:
    """Makes the image of one version of a task script.

    Args:
        version: The version.
        site: What it is made with.
    """

    def __init__(self, version: ScriptVersion, site: Site) -> None:
        self._version = version
        self._choices = version.script.image
        self._site = site

    def make(self, *, made_at: str) -> ImageBuild:
        """Make the image.

        Args:
            made_at: The time, for the record.

        Raises:
            ConfigError: The version's own files are at fault.
            PlatformError: This machine cannot make it.
        """
        ground = lay_ground(self._version, self._site)
        with self._code(ground) as code:
            packages = self._packages(ground)
            components = self._components(ground, code)
            runtime = ground.base.image.runtime
            lock = self._lock(packages, code, components, runtime=runtime)
            installed = packages.layer(lock, code.folder)
            above = [installed] if installed else []
            above += self._component_layers(ground, code, components)
            above.append(self._code_layer(code))
        parts = _parts(components)
        shown = mask_credentials(lock.text)
        contents = Contents(
            base=ground.base.image.id,
            script=self._version.digest,
            lock=shown,
            components=parts,
            system=ground.system,
        )
        image = derived_image(
            ground.base.image,
            (*ground.layers, *above),
            contents=contents,
            command=self._choices.command,
            own_folder=ground.own,
        )
        self._check_size(image)
        return ImageBuild(
            image=image,
            script=self._version.digest,
            name=self._version.name,
            base=ground.base.image.id,
            base_source=ground.base.source,
            lock=shown,
            hook_output=ground.hook_output,
            made_at=made_at,
            parts={**ground.system, **parts},
            aside=ground.aside,
        )

    @contextmanager
    def _code(self, ground: Ground) -> Iterator[Code]:
        """Give the task script's folder, changed as its hook did."""
        source, changes = Path(self._version.folder), ground.changes
        if changes == FolderChanges():
            yield Code(folder=source)
            return
        store = self._site.store
        with store.temporary() as work:
            copy = work / "script"
            _copy_plainly(source, copy)
            changes.apply(copy, store.path(changes.files) if changes.files else None)
            yield Code(folder=copy, executable=None)

    def _packages(self, ground: Ground) -> PackageLayers:
        return PackageLayers(
            self._site.store,
            Place.of(ground.base.image),
            environ=self._site.environ,
            build_wheels=self._wheel_builder(ground),
            tell=self._site.tell,
        )

    def _wheel_builder(self, ground: Ground) -> BuildWheels:
        def _build(requirements: Sequence[str], target: Path, folder: Path) -> None:
            from stepline.plugins.images_local import sdists

            sdists.build_wheels(
                requirements,
                target,
                folder=folder,
                bases=hook_bases(self._version, self._site, base=ground.base),
                steps=self._site.steps(),
                tell=self._site.tell,
            )

        return _build

    def _components(self, ground: Ground, code: Code) -> list[Component]:
        wanted = self._choices.components
        return self._sources(ground).wheels(code.folder, wanted) if wanted else []

    def _component_layers(
        self, ground: Ground, code: Code, components: Sequence[Component]
    ) -> list[Layer]:
        if not components:
            return []
        sources = self._sources(ground)
        return sources.layers(components, folder=code.folder, environ=self._site.environ)

    def _sources(self, ground: Ground) -> Components:
        from stepline.plugins.images_local.components import Components

        return Components(
            self._site.store,
            Place.of(ground.base.image),
            build_wheels=self._wheel_builder(ground),
            tell=self._site.tell,
        )

    def _lock(
        self,
        packages: PackageLayers,
        code: Code,
        components: Sequence[Component],
        *,
        runtime: str,
    ) -> Locked:
        if not self._choices.groups:
            return packages.lock(code.folder, components)
        from stepline.plugins.images_local.groups import locked_requirements

        text = locked_requirements(
            code.folder,
            self._choices.groups,
            runtime=runtime,
            environ=self._site.environ,
            components=self._choices.components,
        )
        if components:
            packages.check(text, code.folder, components=components)
        return Locked(text)

    def _code_layer(self, code: Code) -> Layer:
        with self._site.store.temporary() as work:
            tar = work / "layer.tar"
            with tar.open("wb") as file:
                write_folder(code.folder, file, prefix=CODE, executable=code.executable)
            return self._site.store.add(tar, LayerKind.CODE)

    def _check_size(self, image: Image) -> None:
        most = self._choices.max_bytes
        if most is None or image.size <= most:
            return
        largest = sorted(image.layers, key=lambda layer: -layer.size)[:_LARGEST]
        base = sum(layer.size for layer in image.layers if layer.kind is LayerKind.BASE)
        hint = "ask for fewer requirements, or allow more"
        if base > most:
            hint = f"allow more than {base / _MB:.1f} MB: the base alone has that much"
        named = ", ".join(f"{layer.kind.value} {layer.size / _MB:.1f} MB" for layer in largest)
        raise ConfigError(
            f"the image has {image.size / _MB:.1f} MB, more than the {most / _MB:.1f} MB that "
            f"image.maxSizeMB allows; its largest layers: {named}",
            where=_CONFIG,
            hint=hint,
        )


def _parts(components: Sequence[Component]) -> dict[str, str]:
    if not components:
        return {}
    from stepline.plugins.images_local.components import parts_of

    return parts_of(components)


def _copy_plainly(source: Path, target: Path) -> None:
    """Copy a folder; in the copy everything can be written, and no file may be run."""
    for base, folders, names in os.walk(source):
        here = target / os.path.relpath(base, source)
        here.mkdir(exist_ok=True)
        links = [name for name in folders if os.path.islink(os.path.join(base, name))]
        for name in (*names, *links):
            shutil.copyfile(os.path.join(base, name), here / name, follow_symlinks=False)

"""Components: Python projects in a task script's folder that are installed from source.

Each becomes a wheel, built from a copy of its folder in the base of hooks, since its build is
its author's code; and a layer of its own, so that a changed component leaves the others be.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from stepline.errors import ConfigError, Location
from stepline.frozen import frozen
from stepline.model.image import Layer, LayerKind
from stepline.plugins.images_local.configs import canonical
from stepline.plugins.images_local.groups import normalised
from stepline.plugins.images_local.packages import BuildWheels, pack
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.tars import write_folder
from stepline.plugins.images_local.wheel_files import is_whole, read_metadata
from stepline.plugins.images_local.wheels import Place, install_wheels
from stepline.ports.images import Tell

COMPONENTS = "components"
"""Folder of their wheels, and kind of the notes about their layers."""

_WHERE = Location("config.json")
_PROJECT_FILES = ("pyproject.toml", "setup.py")


@frozen(kw_only=True)
class Component:
    """A component with its wheel.

    Attributes:
        folder: Where it is in the task script's folder.
        name: What the project calls itself, normalised.
        version: Its version.
        source: SHA-256 of the folder's content, ``sha256:<hex>``.
        wheel: File of its wheel.
    """

    folder: str
    name: str
    version: str
    source: str
    wheel: Path

    @property
    def requirement(self) -> str:
        """The wheel as pip and uv read it."""
        return f"{self.name} @ {self.wheel.absolute().as_uri()}"


class Components:
    """Makes wheels and layers of components, each once.

    Args:
        store: Keeps them.
        place: Where in the image they go.
        build_wheels: Builds wheels from source.
        tell: Takes lines about what is going on.
    """

    def __init__(
        self, store: LayerStore, place: Place, *, build_wheels: BuildWheels, tell: Tell
    ) -> None:
        self._store = store
        self._place = place
        self._build_wheels = build_wheels
        self._tell = tell

    def wheels(self, folder: Path, names: Collection[str]) -> list[Component]:
        """Return components with their wheels, building those that are not there.

        Args:
            folder: The task script's folder.
            names: Folders in it.

        Raises:
            ConfigError: There is no project in a folder, it cannot be built, needs a
                compiler, or calls itself as another does.
            PlatformError: Nothing can be built on this machine.
        """
        for name in names:
            _refuse_other(folder, name)
        found = [self._component(folder / name, name) for name in names]
        taken: dict[str, Component] = {}
        for component in found:
            first = taken.setdefault(component.name, component)
            if first is not component:
                raise ConfigError(
                    f"the components {first.folder} and {component.folder} are both called "
                    f"{component.name}",
                    where=_WHERE,
                    hint="rename the project of one of them",
                )
        return found

    def layers(
        self, components: Sequence[Component], *, folder: Path, environ: Mapping[str, str]
    ) -> list[Layer]:
        """Return the layer of each component.

        Args:
            components: The components.
            folder: The task script's folder.
            environ: Environment of the platform.

        Raises:
            ConfigError: One cannot be installed.
            PlatformError: The disk is full.
        """
        return [self._layer(component, folder, environ) for component in components]

    def _component(self, path: Path, name: str) -> Component:
        source = folder_digest(path)
        key = component_key(source, self._place.runtime)
        target = self._store.folder / COMPONENTS / key
        with self._store.lock(f"component-{key}"):
            if not (wheels := list(filter(is_whole, sorted(target.glob("*.whl"))))):
                self._tell(f"building the component {name}")
                wheels = [self._build(path, name, target)]
        own, version = _identity(wheels[0])
        return Component(folder=name, name=own, version=version, source=source, wheel=wheels[0])

    def _build(self, path: Path, name: str, target: Path) -> Path:
        """Build the wheel of a component; its folder is packed, as building may write to it."""
        with self._store.temporary() as work:
            built, packed = work / "wheels", work / "packed"
            built.mkdir()
            packed.mkdir()
            archive = f"{name.replace('/', '-')}.tar"
            with (packed / archive).open("wb") as file:
                write_folder(path, file, prefix="project")
            try:
                self._build_wheels([f"./{archive}"], built, packed)
            except ConfigError as error:
                raise ConfigError(
                    f"the component {name} cannot be built from source: {error.what}",
                    where=_WHERE,
                    hint="components are pure Python; put a wheel of another into the folder "
                    "dependencies, and name it in requirements.txt",
                ) from error
            (wheel,) = built.glob("*.whl")
            return self._store.keep(wheel, target / wheel.name)

    def _layer(self, component: Component, folder: Path, environ: Mapping[str, str]) -> Layer:
        digest = _file_digest(component.wheel)
        key = hashlib.sha256(canonical([digest, vars(self._place)]).encode()).hexdigest()
        with self._store.lock(f"component-layer-{key}"):
            if (layer := self._store.noted_layer(COMPONENTS, key)) is not None:
                return layer
            self._tell(f"installing the component {component.folder}")
            lock = f"{component.requirement} --hash={digest}\n"
            with self._store.temporary() as work:
                root = work / "root"
                root.mkdir()
                install_wheels(lock, root, place=self._place, folder=folder, environ=environ)
                layer = pack(self._store, root, kind=LayerKind.COMPONENT, work=work)
            self._store.put_note(COMPONENTS, key, note=layer.to_plain())
        return layer


def component_key(source: str, runtime: str) -> str:
    """Return what the wheel of a component is kept under.

    Args:
        source: SHA-256 of its folder's content, ``sha256:<hex>``.
        runtime: The Python that it was built by, ``3.N``.
    """
    return hashlib.sha256(f"{source} {runtime}".encode()).hexdigest()


def parts_of(components: Sequence[Component]) -> dict[str, str]:
    """Return version and source hash of components by name, for labels and records."""
    return {each.name: f"{each.version} {each.source}" for each in components}


def requires(wheel: Path) -> list[str]:
    """Return what a wheel says that it requires, as its metadata has it."""
    return [str(value) for value in read_metadata(wheel).get_all("Requires-Dist", [])]


def folder_digest(folder: Path) -> str:
    """Return a digest of a folder: names, contents and links, and what may be run of it."""
    digest = hashlib.sha256()
    for path in sorted(_files(str(folder))):
        relative = os.path.relpath(path, folder)
        if os.path.islink(path):
            digest.update(f"link {relative!r} {os.readlink(path)!r}\n".encode())
            continue
        kind = "program" if os.access(path, os.X_OK) else "file"
        digest.update(f"{kind} {relative!r} {_file_digest(Path(path))}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def _refuse_other(folder: Path, name: str) -> None:
    """Refuse what is not a folder with a Python project, within the task script's."""
    path = folder / name
    if not path.is_dir() or not path.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            f"there is no folder {name} for the component of this name",
            where=_WHERE,
            hint="image.components names folders within the task script's own",
        )
    if not any(path.joinpath(file).is_file() for file in _PROJECT_FILES):
        raise ConfigError(
            f"the component {name} has neither {' nor '.join(_PROJECT_FILES)}",
            where=_WHERE,
            hint="name the folder in which pyproject.toml is",
        )


def _identity(wheel: Path) -> tuple[str, str]:
    metadata = read_metadata(wheel)
    return normalised(str(metadata["Name"])), str(metadata["Version"])


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _files(folder: str) -> Iterator[str]:
    """Give all files and links below a folder."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path)
        else:
            yield entry.path

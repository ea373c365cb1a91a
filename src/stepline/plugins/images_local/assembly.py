"""One image on its way: its layers one after another, from the base up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path

from stepline.errors import ConfigError, Location
from stepline.frozen import frozen
from stepline.model.image import BaseImage, BaseVariant, Image, ImageBuild, Layer, LayerKind
from stepline.plugins.images_local.bases import Bases
from stepline.plugins.images_local.configs import CODE, Contents, derived_image
from stepline.plugins.images_local.packages import BuildWheels, Locked, PackageLayers
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.tars import write_folder
from stepline.plugins.images_local.wheels import Place
from stepline.ports.executor import ScriptVersion
from stepline.ports.images import ImageOptions, Tell

_CONFIG = Location("config.json")
_MB = 1_000_000


@frozen(kw_only=True)
class Site:
    """What images are made with.

    Attributes:
        store: Where layers are.
        bases: Base images.
        options: What settings say.
        environ: Environment of the platform.
    """

    store: LayerStore
    bases: Bases
    options: ImageOptions
    environ: Mapping[str, str]


@frozen(kw_only=True)
class Code:
    """A task script's folder as it goes into the image.

    Attributes:
        folder: The folder, changed as its hook did.
        executable: Paths of the files that may be run; None for those that may be now.
    """

    folder: Path
    executable: tuple[str, ...] | None = ()


@frozen(kw_only=True)
class Below:
    """What a task script stands on.

    Attributes:
        base: The base.
        own: Whether the author named it.
        layers: The layers above it.
        hook_output: What the hook said.
        system: Versions of the Debian packages that were asked for.
    """

    base: BaseImage
    own: bool = False
    layers: tuple[Layer, ...] = ()
    hook_output: str = ""
    system: Mapping[str, str] = field(default_factory=dict)


class Assembly:
    """Makes the image of one version of a task script.

    Args:
        version: The version.
        site: What it is made with.
        tell: Takes lines about what is going on.
    """

    def __init__(self, version: ScriptVersion, site: Site, *, tell: Tell) -> None:
        self._version = version
        self._choices = version.script.image
        self._site = site
        self._tell = tell

    def make(self, *, made_at: str) -> ImageBuild:
        """Make the image.

        Raises:
            ConfigError: The version's own files are at fault.
            PlatformError: This machine cannot make it.
        """
        below = self._below()
        with self._code(below) as code:
            lock, installed, components = self._installed(below, code)
            layers = (*below.layers, *installed, self._code_layer(code))
        contents = Contents(
            base=below.base.image.id,
            script=self._version.digest,
            lock=lock,
            components=components,
            system=below.system,
        )
        image = derived_image(
            below.base.image,
            layers,
            contents=contents,
            command=self._choices.command,
            own_folder=below.own,
        )
        self._check_size(image)
        return ImageBuild(
            image=image,
            script=self._version.digest,
            name=self._version.name,
            base=below.base.image.id,
            base_source=below.base.source,
            lock=lock,
            hook_output=below.hook_output,
            made_at=made_at,
            parts={**below.system, **components},
        )

    def _below(self) -> Below:
        """Return the base, and what Debian packages and the hook put above it."""
        if self._choices.reference:
            return self._own_base()
        runtime = self._version.runtime
        slim = self._site.bases.get(runtime, BaseVariant.SLIM, tell=self._tell)
        return Below(base=slim)

    def _own_base(self) -> Below:
        raise NotImplementedError

    @contextmanager
    def _code(self, below: Below) -> Iterator[Code]:
        """Give the task script's folder, changed as its hook did."""
        yield Code(folder=Path(self._version.folder))

    def _installed(
        self, below: Below, code: Code
    ) -> tuple[str, tuple[Layer, ...], Mapping[str, str]]:
        """Return the lock, the layers of packages, and the components by name."""
        packages = PackageLayers(
            self._site.store,
            Place.of(below.base.image),
            environ=self._site.environ,
            build_wheels=self._build_wheels(below),
            tell=self._tell,
        )
        locked = self._locked_groups(code) if self._choices.groups else packages.lock(code.folder)
        layer = packages.layer(locked, code.folder)
        return locked.text, (layer,) if layer else (), {}

    def _locked_groups(self, code: Code) -> Locked:
        from stepline.plugins.images_local.groups import locked_requirements

        return Locked(
            locked_requirements(
                code.folder,
                self._choices.groups,
                runtime=self._version.runtime,
                environ=self._site.environ,
                components=self._choices.components,
            )
        )

    def _build_wheels(self, below: Below) -> BuildWheels:
        def build(requirements: Sequence[str], target: Path, folder: Path) -> None:
            raise NotImplementedError

        return build

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
        largest = sorted(image.layers, key=lambda layer: -layer.size)[:3]
        named = ", ".join(f"{layer.kind.value} {layer.size / _MB:.1f} MB" for layer in largest)
        raise ConfigError(
            f"the image has {image.size / _MB:.1f} MB, more than the {most / _MB:.1f} MB that "
            f"image.max_bytes allows; its largest layers: {named}",
            where=_CONFIG,
            hint="ask for fewer requirements, or for a larger image.max_bytes",
        )

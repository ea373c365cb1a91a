"""The images of task scripts on this machine: made once, found in milliseconds after."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from stepline.errors import ConfigError, UserError
from stepline.model.image import BaseImage, BaseVariant, Image, ImageBuild, Layer, Package
from stepline.plugins.images_local.bases import Bases
from stepline.plugins.images_local.store import LayerStore
from stepline.ports.executor import ScriptVersion
from stepline.ports.images import ImageOptions, Tell

_IMAGES = "images"
_SCRIPTS = "scripts"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


class LocalImages:
    """Images in one folder; several threads and processes may use it at once.

    Args:
        options: Where images are kept, and what they are made of.
        environ: Environment of the platform: proxies, index settings.
        now: Returns the time, ISO 8601 in UTC.
    """

    def __init__(
        self,
        options: ImageOptions,
        environ: Mapping[str, str],
        *,
        now: Callable[[], str] = _now,
    ) -> None:
        self._options = options
        self._environ = environ
        self._now = now
        self._store = LayerStore(options.folder)
        self._bases = Bases(self._store, options, environ=environ)

    # Images of task scripts.

    def build(self, version: ScriptVersion, *, tell: Tell, renew: bool = False) -> Image:
        """See `Images.build`."""
        key = _script_key(version)
        if (found := self._built(key)) is not None:
            return found.image
        with self._store.building(), self._store.lock(f"script-{key}"):
            if (found := self._built(key)) is not None:  # by another, while we waited
                return found.image
            build = self._assemble(version, tell)
            if not renew:
                self._refuse_another(build, key)
            self._store.put_note(_IMAGES, build.image.id, note=build.to_plain())
            self._store.put_note(_SCRIPTS, key, note={"image": build.image.id})
        return build.image

    def get(self, image_id: str) -> ImageBuild | None:
        """See `Images.get`."""
        note = self._store.note(_IMAGES, image_id)
        return ImageBuild.from_plain(note) if note is not None else None

    def builds(self) -> Sequence[ImageBuild]:
        """See `Images.builds`."""
        found = (ImageBuild.from_plain(note) for note in self._store.notes(_IMAGES))
        return sorted(found, key=lambda build: (build.made_at, build.image.id))

    def layer(self, layer: Layer) -> Path:
        """See `Images.layer`."""
        return self._store.path(layer)

    def write_archive(self, image: Image, file: BinaryIO, *, without: Collection[str] = ()) -> None:
        """See `Images.write_archive`."""
        from stepline.plugins.images_local.archive import write_archive

        write_archive(image, file, path=self._store.path, without=without)

    def root(self, image: Image) -> Path:
        """See `Images.root`."""
        from stepline.plugins.images_local.roots import ImageRoots

        return ImageRoots(self._store).get(image)

    def software(self, image: Image) -> Sequence[Package]:
        """See `Images.software`."""
        from stepline.plugins.images_local.software import read_software

        return read_software([self._store.path(layer) for layer in image.layers])

    def sbom(self, image: Image) -> str:
        """See `Images.sbom`."""
        from stepline.plugins.images_local.sbom import write_sbom

        return write_sbom(image, self.software(image))

    def remove(self, image_id: str) -> int:
        """See `Images.remove`."""
        from stepline.plugins.images_local.leftovers import remove_unused_wheels
        from stepline.plugins.images_local.roots import ImageRoots

        with self._store.removing():
            if self.get(image_id) is None:
                raise UserError(
                    f"this machine made no image {image_id}",
                    hint="`stepline image list` shows those that it made",
                )
            self._store.remove_note(_IMAGES, image_id)
            freed = ImageRoots(self._store).remove_unused(self._images())
            freed += remove_unused_wheels(self._store, self.builds())
            return freed + self._store.remove_layers(without=self._needed(bases=True))

    # Bases.

    def build_base(self, suite: str, variant: BaseVariant, *, tell: Tell) -> BaseImage:
        """See `Images.build_base`."""
        return self._bases.build(suite, variant, tell=tell)

    def base(self, runtime: str, variant: BaseVariant, *, tell: Tell) -> BaseImage:
        """See `Images.base`."""
        return self._bases.get(runtime, variant, tell=tell)

    def bases(self) -> Sequence[BaseImage]:
        """See `Images.bases`."""
        return self._bases.all()

    def remove_base(self, image_id: str) -> int:
        """See `Images.remove_base`."""
        with self._store.removing():
            used = {each.base for each in self.builds()}
            return self._bases.remove(image_id, used=used, layers=self._needed(bases=False))

    def _built(self, key: str) -> ImageBuild | None:
        """Return the image that a task script was given, if all of it is here."""
        note = self._store.note(_SCRIPTS, key)
        found = self.get(note["image"]) if note is not None else None
        whole = found is not None and all(map(self._store.has, found.image.layers))
        return found if whole else None

    def _refuse_another(self, build: ImageBuild, key: str) -> None:
        """Refuse an image that is made again and is not the one that it stands for."""
        note = self._store.note(_SCRIPTS, key)
        given = note["image"] if note is not None else build.image.id
        if given == build.image.id:
            return
        raise ConfigError(
            f"the image {given} that {build.name} was given is gone, "
            f"and made again it would be {build.image.id}",
            hint="publish it again with -f, or have `stepline image build` make its image anew; "
            "what runs then is another image than before",
        )

    def _assemble(self, version: ScriptVersion, tell: Tell) -> ImageBuild:
        from stepline.packages.uv import mask_credentials
        from stepline.plugins.images_local.assembly import Assembly
        from stepline.plugins.images_local.ground import Site

        site = Site(
            store=self._store,
            bases=self._bases,
            options=self._options,
            environ=self._environ,
            tell=lambda line: tell(mask_credentials(line)),
        )
        return Assembly(version, site).make(made_at=self._now())

    def _images(self) -> list[Image]:
        """Return all images and bases."""
        made = [build.image for build in self.builds()]
        return made + [base.image for base in self.bases()]

    def _needed(self, *, bases: bool) -> set[str]:
        """Return the digests of the layers of images, and of what was made besides for them.

        Args:
            bases: Whether those of bases are needed too.
        """
        layers = [each for build in self.builds() for each in (*build.image.layers, *build.aside)]
        if bases:
            layers += [each for base in self.bases() for each in base.image.layers]
        return {layer.digest for layer in layers}


def _script_key(version: ScriptVersion) -> str:
    return hashlib.sha256(f"{version.digest} {version.runtime}".encode()).hexdigest()

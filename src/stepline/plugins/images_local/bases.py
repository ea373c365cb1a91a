"""Base images: those built here of Debian packages, and those fetched from a registry."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from stepline.errors import PlatformError, UserError
from stepline.model.image import SEARCH_PATH, BaseImage, BaseVariant, Image, Layer, LayerKind
from stepline.plugins.images_local.configs import image_config, image_id
from stepline.plugins.images_local.store import LayerStore
from stepline.ports.images import ImageOptions, Tell

_NOTES = "bases"
_FETCHED = "references"
_BUILT = "debian:"
_OFFICIAL = "docker.io/library/python:{runtime}-slim-bookworm"
_OFFICIAL_RUNTIMES = tuple(f"3.{minor}" for minor in range(7, 14))


class Bases:
    """The base images of one machine; several threads and processes may use it at once.

    Args:
        store: Where their layers and records are.
        options: What settings say about them, and the engine that fetches them.
        environ: Environment variables of the platform.
    """

    def __init__(
        self, store: LayerStore, options: ImageOptions, *, environ: Mapping[str, str]
    ) -> None:
        self._store = store
        self._options = options
        self._environ = environ

    def all(self) -> Sequence[BaseImage]:
        """Return those that are here, whole, oldest first."""
        found = (BaseImage.from_plain(note) for note in self._store.notes(_NOTES))
        whole = (base for base in found if all(map(self._store.has, base.image.layers)))
        return sorted(whole, key=lambda base: (base.made_at, base.image.id, base.variant.value))

    def build(self, suite: str, variant: BaseVariant, *, tell: Tell) -> BaseImage:
        """Make a base of a suite's packages as they are now; it is the one used from then on.

        Raises:
            UserError: There is no such suite.
            PlatformError: The packages cannot be had, or a tool for it is missing.
        """
        from stepline.plugins.images_local import debian

        runtime = debian.runtime_of(suite)
        debian.check_tools(self._environ)
        asked_at, source = _now(), f"{_BUILT}{suite}"
        with self._store.lock(f"base-{suite}-{variant.value}"), self._store.building():
            made = self._newest(runtime, variant, source=source)
            if made is not None and made.made_at > asked_at:  # by another, while we waited
                return made
            with self._store.temporary() as folder:
                tar = debian.make_root(
                    suite, variant, folder=folder, environ=self._environ, tell=tell
                )
                layer = self._store.add(tar, LayerKind.BASE)
            image = _built_image(layer, runtime, variant)
            return self._note(
                BaseImage(image=image, variant=variant, source=source, made_at=_now())
            )

    def get(self, runtime: str, variant: BaseVariant, *, tell: Tell) -> BaseImage:
        """Return the base of a runtime: what settings name, a built one, the official one.

        Raises:
            PlatformError: There is none; the error names the runtimes that there are.
        """
        reference = self._named(runtime, variant)
        if not reference:
            built = self._newest(runtime, BaseVariant.SLIM, source=_BUILT)
            if built is not None:
                return self._built(built, variant)
        if not reference and runtime not in _OFFICIAL_RUNTIMES:
            raise PlatformError(
                f"there is no base image of python{runtime}", hint=self._what_there_is()
            )
        reference = reference or _OFFICIAL.format(runtime=runtime)
        try:
            return self._fetched(reference, runtime, variant=variant, tell=tell)
        except PlatformError as error:
            there_is = self._what_there_is()
            raise PlatformError(
                f"there is no base image of python{runtime} here, and {reference} cannot be "
                f"fetched: {error.what}",
                hint=f"{there_is}; for the engine: {error.hint}" if error.hint else there_is,
                retryable=error.retryable,
            ) from error

    def remove(self, image_id: str, *, used: Collection[str], layers: Collection[str]) -> int:
        """Remove a base; return the freed bytes. Nobody may build meanwhile.

        Args:
            image_id: Its id, or the start of it.
            used: Ids of the bases that images of task scripts are made of.
            layers: Digests of the layers to keep for those images.

        Raises:
            UserError: There is no such base, or an image is made of it.
        """
        found = [base for base in self.all() if _is_called(base, image_id)]
        ids = {base.image.id for base in found}
        if len(ids) != 1:
            raise UserError(
                f"{len(ids) or 'no'} base images have an id that starts with {image_id}",
                hint="`stepline base list` shows them",
            )
        if ids & set(used):
            raise UserError(
                f"images are made of the base {image_id}",
                hint="`stepline image list` shows them, and `stepline image remove` removes one",
            )
        for base in found:
            self._store.remove_note(_NOTES, _key(base))
        kept = {layer.digest for base in self.all() for layer in base.image.layers}
        return self._store.remove_layers(without=kept | set(layers))

    def _named(self, runtime: str, variant: BaseVariant) -> str:
        """Return the reference that settings have; a hook's base is the slim one by default."""
        named = self._options.bases
        own = named.get(f"{runtime}-hook", "") if variant is BaseVariant.HOOK else ""
        return own or named.get(runtime, "")

    def _built(self, slim: BaseImage, variant: BaseVariant) -> BaseImage:
        """Return a variant of a system that was built here."""
        if variant is BaseVariant.SLIM:
            return slim
        found = self._newest(slim.image.runtime, variant, source=slim.source)
        if found is None:
            suite = slim.source.removeprefix(_BUILT)
            raise PlatformError(
                f"the base of python{slim.image.runtime} was built here of {suite}'s packages, "
                "and the one that hooks run in was not",
                hint=f"run `stepline base build {suite} --hook`",
            )
        return found

    def _newest(self, runtime: str, variant: BaseVariant, *, source: str) -> BaseImage | None:
        """Return the newest base of a source, or of all whose source starts like it."""
        found = [
            base
            for base in self.all()
            if base.image.runtime == runtime
            and base.variant is variant
            and (base.source == source or (source == _BUILT and base.source.startswith(source)))
        ]
        return found[-1] if found else None

    def _fetched(
        self, reference: str, runtime: str, *, variant: BaseVariant, tell: Tell
    ) -> BaseImage:
        """Return the base that a reference led to when it was first used here, or fetch it."""
        from stepline.plugins.images_local.fetching import fetch_base, reference_key

        key = reference_key(f"{reference} {runtime} {variant.value}")
        if (known := self._known(key)) is not None:
            return known
        with self._store.lock(f"base-{key}"), self._store.building():
            if (known := self._known(key)) is not None:
                return known
            tell(f"fetching {reference}")
            image, source = fetch_base(reference, runtime, store=self._store, options=self._options)
            base = self._note(
                BaseImage(image=image, variant=variant, source=source, made_at=_now())
            )
            self._store.put_note(_FETCHED, key, note={"base": _key(base)})
            return base

    def _known(self, key: str) -> BaseImage | None:
        led = self._store.note(_FETCHED, key)
        note = self._store.note(_NOTES, led["base"]) if led else None
        base = BaseImage.from_plain(note) if note else None
        return base if base and all(map(self._store.has, base.image.layers)) else None

    def _note(self, base: BaseImage) -> BaseImage:
        self._store.put_note(_NOTES, _key(base), note=base.to_plain())
        return base

    def _what_there_is(self) -> str:
        """Say which runtimes can be had, and how to get others."""
        from stepline.plugins.images_local.debian import SUITES

        here = sorted({base.image.runtime for base in self.all()} | {*self._options.bases})
        made = ", ".join(f"{suite} (python{python})" for suite, python in SUITES.items())
        return (
            f"here are bases of: {', '.join(here) or 'none'}; `stepline base build` makes one of "
            f"{made}; a registry has {', '.join(_OFFICIAL_RUNTIMES)}; "
            "the setting bases names images of your own"
        )


def _key(base: BaseImage) -> str:
    return f"{base.image.id.removeprefix('sha256:')}-{base.variant.value}"


def _is_called(base: BaseImage, image_id: str) -> bool:
    plain = image_id.removeprefix("sha256:")
    return bool(plain) and base.image.id.removeprefix("sha256:").startswith(plain)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _built_image(layer: Layer, runtime: str, variant: BaseVariant) -> Image:
    """Return the image of a root file system that was made here."""
    from stepline.plugins.images_local import debian

    environ = [f"PATH={SEARCH_PATH}", "LANG=C.UTF-8"]
    if variant is BaseVariant.HOOK:
        environ.append("DEBIAN_FRONTEND=noninteractive")
    config = image_config([layer], {"Env": environ, "Cmd": ["python3"], "WorkingDir": "/"})
    return Image(
        id=image_id(config),
        config=config,
        layers=(layer,),
        runtime=runtime,
        python=debian.PYTHON,
        site=debian.site_of(runtime),
    )

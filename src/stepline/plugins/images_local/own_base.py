"""An image that config.json names in place of the runtime's own base."""

from __future__ import annotations

import json

from stepline.errors import ConfigError, Location
from stepline.model.image import BaseImage, BaseVariant
from stepline.plugins.images_local.fetching import Fetched, fetch, reference_key
from stepline.plugins.images_local.ground import Site
from stepline.ports.executor import ScriptVersion

_NOTES = "references-of-scripts"
_CONFIG = Location("config.json")


def own_base(version: ScriptVersion, site: Site) -> BaseImage:
    """Return the base that a task script names; its source is the reference by digest.

    Raises:
        ConfigError: There is no command, neither in the image nor in config.json.
        UserError: The registry refuses it or does not have it, it is for another platform,
            or it has no Python that the task script can run on.
        PlatformError: The engine or the registry cannot be reached.
    """
    reference = version.script.image.reference
    # A digest never leads to anything else; of a tag only the engine knows where it leads.
    leads_to = reference if "@" in reference else _image_id(reference, site)
    key = reference_key(f"{reference} {leads_to} {version.runtime} {version.script.runtime}")
    base = _known(key, site)
    if base is None:
        with site.store.lock(f"own-base-{key}"):
            base = _known(key, site) or _fetched(version, key, site)
    _check_command(version, base)
    return base


def _image_id(reference: str, site: Site) -> str:
    site.tell(f"asking for {reference}")
    return site.options.engine().pull(reference, site.options.credential(reference)).id


def _known(key: str, site: Site) -> BaseImage | None:
    note = site.store.note(_NOTES, key)
    base = BaseImage.from_plain(note) if note is not None else None
    return base if base and all(map(site.store.has, base.image.layers)) else None


def _fetched(version: ScriptVersion, key: str, site: Site) -> BaseImage:
    reference = version.script.image.reference
    site.tell(f"fetching {reference}")
    fetched = fetch(reference, store=site.store, options=site.options)
    image = fetched.image(_runtime(version, fetched))
    base = BaseImage(image=image, variant=BaseVariant.SLIM, source=fetched.source, made_at="")
    site.store.put_note(_NOTES, key, note=base.to_plain())
    return base


def _runtime(version: ScriptVersion, fetched: Fetched) -> str:
    """Return the Python to use: the one asked for, or where none is, the only one there is."""
    if version.script.runtime is None and len(fetched.pythons) == 1:
        return next(iter(fetched.pythons))
    return version.runtime


def _check_command(version: ScriptVersion, base: BaseImage) -> None:
    config = json.loads(base.image.config)["config"]
    if version.script.image.command or config.get("Cmd") or config.get("Entrypoint"):
        return
    raise ConfigError(
        f"the image {version.script.image.reference} has no command, and config.json has none",
        where=_CONFIG,
        hint='give it one: "image": {"command": ["python3", "main.py"]}, for instance',
    )

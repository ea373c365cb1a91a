"""Configs of images, as the OCI image format has them: a function of content alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from stepline.frozen import frozen
from stepline.model.image import PLATFORM_ARCHITECTURE, PLATFORM_OS, SEARCH_PATH, USER, Image, Layer

CREATED = "2000-01-01T00:00:00Z"
"""When every image was made, as far as it says itself."""

CODE = "/opt/stepline/script"
"""Folder of the task script in an image."""

_DEFAULTS = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8"}


@frozen(kw_only=True)
class Contents:
    """What a task script's image says that it is made of.

    Attributes:
        base: Id of the base image.
        script: Digest of the task script.
        lock: The installed requirements, pinned; empty for none.
        components: Version and source hash by name, of what is installed from source.
        system: Versions of the Debian packages that were asked for, by name.
    """

    base: str
    script: str
    lock: str = ""
    components: Mapping[str, str]
    system: Mapping[str, str]

    def labels(self) -> dict[str, str]:
        """Return the labels of the image."""
        labels = {
            "org.opencontainers.image.base.digest": self.base,
            "org.opencontainers.image.revision": self.script,
            "org.stepline.base": self.base,
            "org.stepline.script": self.script,
        }
        if self.lock:
            digest = hashlib.sha256(self.lock.encode()).hexdigest()
            labels["org.stepline.lock"] = f"sha256:{digest}"
        if self.components:
            labels["org.stepline.components"] = canonical(dict(self.components))
        if self.system:
            labels["org.stepline.system"] = canonical(dict(self.system))
        return labels


def derived_image(
    base: Image,
    layers: Sequence[Layer],
    *,
    contents: Contents,
    command: Sequence[str] = (),
    own_folder: bool = False,
) -> Image:
    """Return the image of a task script on a base.

    Args:
        base: The base.
        layers: What comes above it, from the lowest up.
        contents: What it is made of.
        command: What it runs when it is started plainly; empty for the base's.
        own_folder: Keep the base's current folder, which its command may need.
    """
    config = dict(json.loads(base.config).get("config") or {})
    config["Env"] = _environment(config.get("Env") or ())
    config["User"] = USER
    config["Labels"] = {**(config.get("Labels") or {}), **contents.labels()}
    if not (own_folder and config.get("WorkingDir")):
        config["WorkingDir"] = CODE
    if command:
        config["Cmd"] = list(command)
        config.pop("Entrypoint", None)
    every = (*base.layers, *layers)
    text = image_config(every, config)
    return Image(
        id=image_id(text),
        config=text,
        layers=every,
        runtime=base.runtime,
        python=base.python,
        site=base.site,
        code=CODE,
    )


def image_config(layers: Sequence[Layer], config: Mapping[str, Any]) -> str:
    """Return an image's whole config as canonical JSON.

    Args:
        layers: All of its layers, from the lowest up.
        config: What containers of it get: ``Env``, ``User``, ``Cmd`` and so on.
    """
    history = [
        {"created": CREATED, "created_by": f"stepline: {each.kind.value}"} for each in layers
    ]
    return canonical(
        {
            "architecture": PLATFORM_ARCHITECTURE,
            "os": PLATFORM_OS,
            "created": CREATED,
            "config": dict(config),
            "history": history,
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        }
    )


def image_id(config: str) -> str:
    """Return the id of an image by its config's text."""
    return f"sha256:{hashlib.sha256(config.encode()).hexdigest()}"


def canonical(plain: Any) -> str:
    """Return plain JSON as the one text that stands for it."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _environment(given: Sequence[str]) -> list[str]:
    known = dict(entry.partition("=")[::2] for entry in given)
    return [f"{name}={value}" for name, value in sorted({**_DEFAULTS, **known}.items())]

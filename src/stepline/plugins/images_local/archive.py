"""docker-archives, which engines load: written from front to back, layers left out at will."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO

from stepline.model.image import Image, Layer
from stepline.plugins.images_local.tars import new_member

_BLOCK = 1 << 20


def write_archive(
    image: Image,
    file: BinaryIO,
    *,
    path: Callable[[Layer], Path],
    without: Collection[str] = (),
) -> None:
    """Write an image as a docker-archive.

    Args:
        image: The image.
        file: Where to; it is never sought in.
        path: Returns the file of a layer's tar.
        without: Digests of layers to leave out, since the reader has them.

    Raises:
        PlatformError: A layer is not on this machine.
    """
    by_digest = {layer.digest: layer for layer in image.layers}
    config = f"{_hex(image.id)}.json"
    manifest = [
        {
            "Config": config,
            "RepoTags": None,
            "Layers": [f"{_hex(layer.digest)}/layer.tar" for layer in image.layers],
        }
    ]
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_BLOCK) as tar:
        _add_text(tar, config, image.config)
        for digest, layer in by_digest.items():
            if digest not in without:
                _add_file(tar, f"{_hex(digest)}/layer.tar", path(layer))
        _add_text(tar, "manifest.json", json.dumps(manifest))


def _add_file(tar: tarfile.TarFile, name: str, path: Path) -> None:
    with path.open("rb") as content:
        tar.addfile(new_member(name, size=path.stat().st_size), content)


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    tar.addfile(new_member(name, size=len(data)), io.BytesIO(data))


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")

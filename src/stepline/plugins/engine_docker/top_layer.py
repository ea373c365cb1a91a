"""The uppermost layer of an image, taken out of what an engine saves of it."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterable
from typing import BinaryIO, cast

from stepline.errors import PlatformError

_GZIP = b"\x1f\x8b"


def top_layer(archive: Iterable[bytes]) -> BinaryIO:
    """Return the tar of the highest layer of a docker-archive.

    The archive names the order of its layers at its end, so it goes through a file.

    Raises:
        PlatformError: It is not an archive of an image.
    """
    with tempfile.TemporaryFile() as whole:
        for part in archive:
            whole.write(part)
        whole.seek(0)
        try:
            return _taken_out(cast(BinaryIO, whole))
        except (tarfile.TarError, ValueError, LookupError, TypeError) as error:
            raise PlatformError(f"the engine saved an image in an unknown form: {error}") from error


def empty_layer() -> BinaryIO:
    """Return the tar of a layer without anything in it."""
    return io.BytesIO(bytes(tarfile.RECORDSIZE))


def _taken_out(whole: BinaryIO) -> BinaryIO:
    with tarfile.open(fileobj=whole, mode="r:") as archive:
        manifest = archive.extractfile("manifest.json")
        layers = json.loads(manifest.read())[0]["Layers"] if manifest else []
        layer = archive.extractfile(layers[-1])
        if layer is None:
            raise ValueError(f"{layers[-1]} is not a file")
        found = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - the caller's to close
        shutil.copyfileobj(_plain(cast(BinaryIO, layer)), found, 1024 * 1024)
    found.seek(0)
    return found


def _plain(layer: BinaryIO) -> BinaryIO:
    """Return a layer without compression; engines that keep layers packed save them so."""
    packed = layer.read(2) == _GZIP
    layer.seek(0)
    if not packed:
        return layer
    import gzip

    return cast(BinaryIO, gzip.GzipFile(fileobj=layer))

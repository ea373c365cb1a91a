"""Images into an engine and out of it, as docker-archives."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stepline.errors import PlatformError
from stepline.plugins.engine_docker.connection import Client
from stepline.plugins.engine_docker.faults import full_disk
from stepline.ports.engine import WriteArchive

_PART_BYTES = 1024 * 1024
_LOADED = ("Loaded image ID: ", "Loaded image: ")


def load(client: Client, layers: Sequence[str], *, write: WriteArchive, held: int) -> str:
    """Have an engine take in an image; return its id.

    Args:
        client: The engine.
        layers: Digests of the image's layers, lowest first.
        write: Writes the archive.
        held: How many of the layers, from the lowest up, the engine has.

    Raises:
        PlatformError: The engine does not take it.
    """
    if held:
        try:
            return _sent(client, write, without=frozenset(layers[:held]))
        except PlatformError as error:
            # A layer went away in the meantime, or this engine wants them all.
            if full_disk(error.what):
                raise
    return _sent(client, write, without=frozenset())


def _sent(client: Client, write: WriteArchive, *, without: Collection[str]) -> str:
    loaded, error = "", ""
    with _Pipe(write, without) as archive:
        said: Iterable[Mapping[str, Any]] = client.load_image(archive.parts())
        for line in said:
            error = error or str(line.get("error", ""))
            loaded = _loaded(str(line.get("stream", "")).strip()) or loaded
        archive.raise_own()
    if error:
        raise full_disk(error) or PlatformError(f"the engine does not load an image: {error}")
    if not loaded:
        raise PlatformError("the engine took an archive and does not say what it made of it")
    return str(client.inspect_image(loaded)["Id"])


def _loaded(text: str) -> str:
    """Return what an engine says that it loaded, if it says so."""
    for start in _LOADED:
        if text.startswith(start):
            return text.removeprefix(start)
    return ""


class _Pipe:
    """Turns writing into reading: what a thread writes comes out in parts."""

    def __init__(self, write: WriteArchive, without: Collection[str]) -> None:
        self._write, self._without = write, without
        self._error: BaseException | None = None
        source, target = os.pipe()
        self._source = os.fdopen(source, "rb", buffering=0)
        self._target = os.fdopen(target, "wb", buffering=_PART_BYTES)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Pipe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A writer that is still busy gets a broken pipe, and ends.
        self._source.close()
        self._thread.join()

    def parts(self) -> Iterator[bytes]:
        """Yield what is written, to its end."""
        while part := self._source.read(_PART_BYTES):
            yield part
        # An archive that breaks off must not look like one that ended.
        self.raise_own()

    def raise_own(self) -> None:
        """Raise what went wrong with the writing, if anything has."""
        if self._error is not None and not isinstance(self._error, BrokenPipeError):
            raise self._error

    def _run(self) -> None:
        try:
            self._write(self._target, self._without)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the reader's thread
            self._error = error
        finally:
            try:
                self._target.close()
            except BrokenPipeError:
                pass


def save(client: Client, image_id: str, *, target: Path) -> None:
    """Write an image as a docker-archive to a file, which is there only when it is whole."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            for part in client.get_image(image_id, chunk_size=_PART_BYTES):
                file.write(part)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


class HeldLayers:
    """Knows which layers an engine has; an image's layers never change, so asks once for each."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[str, ...]] = {}

    def count(self, client: Client, layers: Sequence[str]) -> int:
        """Return how many of the layers, from the lowest up, the engine has.

        An engine has a layer where one of its images has it on top of the same ones.
        """
        most = 0
        listed = [str(each["Id"]) for each in client.images(all=True)]
        for image in sorted(listed, key=lambda each: each not in self._layers):
            most = max(most, _common(self._of(client, image), layers))
            if most >= len(layers) - 1:  # the highest one is this image's own, and small
                break
        return most

    def _of(self, client: Client, image: str) -> tuple[str, ...]:
        from docker.errors import NotFound

        if image not in self._layers:
            try:
                root = client.inspect_image(image).get("RootFS", {})
            except NotFound:  # removed a moment ago
                return ()
            self._layers[image] = tuple(root.get("Layers") or ())
        return self._layers[image]


def _common(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Return how many items from the start two sequences share."""
    number = 0
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            break
        number += 1
    return number

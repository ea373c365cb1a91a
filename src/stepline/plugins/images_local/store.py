"""The folder of images: layers by their digest, and notes about what they are good for.

``layers``: the tars, each under its digest.
``notes``: JSON documents by kind and key.
``locks``: one file for each thing that processes do one after another.
``temporary``: work in progress; what a killed process left is removed by the next.

A file gets its name when it is whole and on the disk, so what has a name can be used.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stepline.errors import PlatformError
from stepline.model.image import Layer, LayerKind
from stepline.workers.folders import remove_folder

_FULL = (errno.ENOSPC, errno.EDQUOT)


class LayerStore:
    """Layers and notes of one machine; several threads and processes may use it at once.

    Args:
        folder: Where; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._layers = folder / "layers"
        self._notes = folder / "notes"
        self._locks = folder / "locks"
        self._temporary = folder / "temporary"

    # Layers.

    def add(self, tar: Path, kind: LayerKind) -> Layer:
        """Take in a tar, which must be in a folder of `temporary`, and return its layer.

        Raises:
            PlatformError: The disk is full, or does not take it.
        """
        with self.disk():
            with tar.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                layer = Layer(f"sha256:{digest}", os.fstat(file.fileno()).st_size, kind)
                if self.has(layer):
                    return layer
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            self._move_in(tar, self._path(layer.digest))
        return layer

    def has(self, layer: Layer) -> bool:
        """Tell whether a layer is here, whole."""
        try:
            return self._path(layer.digest).stat().st_size == layer.size
        except OSError:
            return False

    def path(self, layer: Layer) -> Path:
        """Return the file of a layer's tar.

        Raises:
            PlatformError: It is not here.
        """
        if not self.has(layer):
            raise PlatformError(
                f"the layer {layer.digest} is not in {self._layers}",
                hint="build the image again: `stepline image build`",
            )
        return self._path(layer.digest)

    def remove_layers(self, *, without: Collection[str]) -> int:
        """Remove all layers but some; return the freed bytes.

        Args:
            without: Digests of the layers to keep.
        """
        freed = 0
        for path in self._layers.glob("*.tar"):
            if f"sha256:{path.stem}" not in without:
                freed += path.stat().st_size
                path.unlink()
        return freed

    # Other files.

    def keep(self, file: Path, target: Path) -> Path:
        """Take in a file of a folder of `temporary`, on the disk before it has its name.

        Args:
            file: A plain file.
            target: Where it goes.

        Raises:
            PlatformError: The disk is full, or does not take it.
        """
        with self.disk():
            descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._move_in(file, target)
        return target

    # Notes.

    def note(self, kind: str, key: str) -> dict[str, Any] | None:
        """Return a note; None where there is none."""
        try:
            found = json.loads(self._note_path(kind, key).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def put_note(self, kind: str, key: str, *, note: Mapping[str, Any]) -> None:
        """Keep a note, in place of the one that there was.

        Args:
            kind: Name of a folder.
            key: A digest, or any other text that a file can be called.
            note: Plain JSON.

        Raises:
            PlatformError: The disk is full, or does not take it.
        """
        with self.temporary() as folder:
            path = folder / "note"
            with path.open("w", encoding="utf-8") as file:
                json.dump(note, file, sort_keys=True, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            self._move_in(path, self._note_path(kind, key))

    def notes(self, kind: str) -> Iterator[dict[str, Any]]:
        """Give all notes of a kind, in no order."""
        with suppress(FileNotFoundError):
            for path in sorted((self._notes / kind).iterdir()):
                if (note := self.note(kind, path.stem)) is not None:
                    yield note

    def remove_note(self, kind: str, key: str) -> None:
        """Remove a note; no error where there is none."""
        self._note_path(kind, key).unlink(missing_ok=True)

    def noted_layer(self, kind: str, key: str) -> Layer | None:
        """Return the layer of a note that is a layer's plain form, if the layer is here."""
        note = self.note(kind, key)
        layer = Layer.from_plain(note) if note is not None else None
        return layer if layer is not None and self.has(layer) else None

    # Work.

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold what only one thread or process may do at a time."""
        with self._held(key, fcntl.LOCK_EX):
            yield

    @contextmanager
    def building(self) -> Iterator[None]:
        """Keep layers from being removed before something that is made of them is noted."""
        with self._held("store", fcntl.LOCK_SH):
            yield

    @contextmanager
    def removing(self) -> Iterator[None]:
        """Wait until nobody builds, and keep others from it."""
        with self._held("store", fcntl.LOCK_EX):
            yield

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        """Give a folder on the disk of the layers, removed at the end.

        Raises:
            PlatformError: The disk is full, or does not take it.
        """
        with self.disk(), self.lock("temporary"):
            self._remove_forsaken()
            folder = self._temporary / os.urandom(8).hex()
            folder.mkdir(mode=0o700)
            held = _lock(folder, fcntl.LOCK_EX)
        try:
            yield folder
        except OSError as error:
            if error.errno in _FULL:
                raise self.full() from error
            raise
        finally:
            remove_folder(folder)
            os.close(held)

    @contextmanager
    def disk(self) -> Iterator[None]:
        """Have errors of the folder's disk say what to do about them."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise self.full() from error
            raise PlatformError(
                f"the folder of images {self.folder} cannot be used: {error}",
                hint="the setting images_dir, or STEPLINE_IMAGES_DIR, names another",
            ) from error

    def full(self) -> PlatformError:
        """Return the error for a full disk."""
        return PlatformError(
            f"the disk of {self.folder} is full",
            hint="make room, or have images_dir name a folder on another disk; nothing "
            "half-made was kept",
            retryable=True,
        )

    def _remove_forsaken(self) -> None:
        """Remove the folders of processes that were killed, under the lock of new ones."""
        self._temporary.mkdir(parents=True, exist_ok=True)
        for folder in list(self._temporary.iterdir()):
            with suppress(OSError):
                held = _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                try:
                    remove_folder(folder)
                finally:
                    os.close(held)

    def _path(self, digest: str) -> Path:
        return self._layers / f"{digest.removeprefix('sha256:')}.tar"

    def _note_path(self, kind: str, key: str) -> Path:
        return self._notes / kind / f"{key.removeprefix('sha256:')}.json"

    @contextmanager
    def _held(self, key: str, how: int) -> Iterator[None]:
        with self.disk():
            self._locks.mkdir(parents=True, exist_ok=True)
            path = self._locks / f"{key.removeprefix('sha256:')}"
            path.touch()
        descriptor = _lock(path, how)
        try:
            yield
        finally:
            os.close(descriptor)

    def _move_in(self, source: Path, target: Path) -> None:
        """Give a file that is on the disk its name, for good."""
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _lock(path: Path, how: int) -> int:
    """Open a file or folder and lock it, until the descriptor is closed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor

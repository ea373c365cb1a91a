"""Roots: the files of images as folders, for executors that need no engine.

There is one folder for each chain of layers, in ``roots`` of the folder of images, and for
what platforms mount in it: another version that mounts more has folders of its own. What an
image has in common with another is there once: a chain is made of the folder of all its layers
but the last, file by file as hard links, so that nobody may ever write to a file of a root.
Whoever uses a root holds a shared lock on its folder, which keeps it from being removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from stepline.errors import PlatformError
from stepline.model.image import Image, Layer
from stepline.plugins.images_local.linking import link_tree, sync_disk
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.unpacking import unpack
from stepline.workers import inside

_TRIES = 5
_MOST_LINKS = 40


class ImageRoots:
    """The roots of one machine; several threads and processes may use them at once.

    Args:
        store: Where the layers are.
    """

    def __init__(self, store: LayerStore) -> None:
        self._store = store
        self._roots = store.folder / "roots"

    def get(self, image: Image) -> Path:
        """Return the folder of an image's files, making it if need be.

        Raises:
            PlatformError: A layer is not here, or cannot be unpacked, or the disk is full.
        """
        return self._chain(image.layers)

    def remove_unused(self, kept: Iterable[Image]) -> int:
        """Remove all roots that no image is of and nobody uses; return the freed bytes.

        Args:
            kept: The images whose roots, and those of their lower layers, are kept.
        """
        wanted = {
            _name(image.layers[: number + 1])
            for image in kept
            for number in range(len(image.layers))
        }
        with self._store.disk(), suppress(FileNotFoundError):
            found = sorted(set(os.listdir(self._roots)) - wanted)
            return sum(self._remove(self._roots / name) for name in found)
        return 0

    def _chain(self, layers: Sequence[Layer]) -> Path:
        """Return the folder of a chain of layers."""
        path = self._roots / _name(layers)
        if path.is_dir():
            return path
        for _ in range(_TRIES):
            below = self._chain(layers[:-1]) if len(layers) > 1 else None
            # Between finding it and holding it, somebody may have removed it.
            with _held(below) as there:
                if there:
                    self._make(path, below, layers[-1])
                    return path
        raise PlatformError(
            f"{below} is removed again and again", hint="have only one cleaning up at a time"
        )

    def _make(self, path: Path, below: Path | None, layer: Layer) -> None:
        """Make a folder in a temporary one, and give it its name when it is whole."""
        with self._store.lock(f"root-{path.name}"), self._store.temporary() as folder:
            if path.is_dir():
                return  # another process was quicker
            with self._store.disk():
                root = folder / "root"
                if below is None:
                    root.mkdir()
                else:
                    link_tree(below, root)
                unpack(self._store.path(layer), root, name=layer.digest)
                _make_places(root)
                root.chmod(0o755)
                self._roots.mkdir(parents=True, exist_ok=True)
                sync_disk(root)
                root.rename(path)

    def _remove(self, path: Path) -> int:
        """Remove a root, unless somebody uses it; return the freed bytes."""
        with _opened(path) as descriptor:
            if descriptor is None or not _locked(descriptor, fcntl.LOCK_EX):
                return 0
            freed = _own_bytes(path)
            with self._store.temporary() as folder:
                path.rename(folder / "root")
            return freed


def chain_id(layers: Sequence[Layer]) -> str:
    """Return what tells a chain of layers from all others, as the OCI image format does."""
    found = layers[0].digest
    for layer in layers[1:]:
        found = "sha256:" + hashlib.sha256(f"{found} {layer.digest}".encode()).hexdigest()
    return found.removeprefix("sha256:")


def _name(layers: Sequence[Layer]) -> str:
    places = repr((inside.FOLDERS, sorted(inside.FILES.items())))
    return f"{chain_id(layers)}-{hashlib.sha256(places.encode()).hexdigest()[:8]}"


def _make_places(root: Path) -> None:
    """Make what something will be mounted on, unless the image has it."""
    for name in inside.FOLDERS:
        place = root
        for part in name.split("/"):
            place = place / part
            if place.is_symlink() or not place.is_dir():
                _make_place(root, place)
    etc = root / "etc"
    if etc.is_symlink() or not etc.is_dir():
        return
    for name, content in inside.FILES.items():
        # The image's own is never seen in a container either.
        place = root / name
        if place.is_symlink():
            place.unlink()
        if place.is_dir() or (place.is_file() and place.read_bytes() == content.encode()):
            continue
        place.unlink(missing_ok=True)
        place.write_text(content)
        place.chmod(0o644)  # whatever the mask of this process is


def _make_place(root: Path, place: Path) -> None:
    """Make a folder; one that was a link has what that led to within the root."""
    led_to = _led_to(root, place)
    place.unlink(missing_ok=True)
    if led_to is not None:
        link_tree(led_to, place)
        return
    place.mkdir()
    place.chmod(0o755)  # whatever the mask of this process is


def _led_to(root: Path, link: Path) -> Path | None:
    """Return the folder that a link leads to for those whose root this is; None for no such."""
    waiting, found, links = [link.name], link.parent, 0
    while waiting:
        name = waiting.pop()
        step = found / name
        if name == "..":
            found = found.parent if found != root else root
        elif step.is_symlink() and links < _MOST_LINKS:
            links += 1
            target = os.readlink(step)
            found = root if target.startswith("/") else found
            waiting += reversed([part for part in target.split("/") if part not in ("", ".")])
        else:
            found = step
    # What holds the link itself would be a copy without an end.
    is_good = links and not found.is_symlink() and found.is_dir() and found not in link.parents
    return found if is_good else None


@contextmanager
def _held(root: Path | None) -> Iterator[bool]:
    """Keep a root from being removed; tell whether it is there."""
    if root is None:
        yield True
        return
    with _opened(root) as descriptor:
        there = descriptor is not None and _locked(descriptor, fcntl.LOCK_SH)
        yield there and root.is_dir()


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """Give a descriptor of a folder; None where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _own_bytes(root: Path) -> int:
    """Return the bytes of files that no other root has."""
    sizes = 0
    for base, _, names in os.walk(root):
        for name in names:
            found = os.lstat(os.path.join(base, name))
            sizes += found.st_size if found.st_nlink == 1 else 0
    return sizes

"""Removing blobs that nothing refers to, while others publish."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from stepline.plugins.files_local.durable import DurableFolder
from stepline.ports.freed import Freed

# Few enough that publishing never waits long for a batch to be removed.
BATCH = 200
_DIGEST_LENGTH = 64


def delete_unreferenced(
    folder: DurableFolder,
    names_in_use: Callable[[Sequence[str]], frozenset[str]],
    *,
    older_than_s: float,
    dry_run: bool = False,
) -> Freed:
    """Remove old blobs that nothing refers to.

    Args:
        folder: The store's.
        names_in_use: Given some names, returns those that something refers to.
        older_than_s: Seconds; what was published later than that stays.
        dry_run: Whether to remove nothing, and only tell what would be.

    Raises:
        OSError: Something cannot be removed; the rest stays.
    """
    before = time.time() - older_than_s
    old = _older(folder.blobs, before)
    act, freed = (_size_of_older if dry_run else _removed), Freed()
    while batch := dict(islice(old, BATCH)):
        in_use = names_in_use(list(batch))
        with folder.locked(exclusively=True):
            # One may have been published again since it was asked for.
            sizes = [act(path, before) for name, path in batch.items() if name not in in_use]
        found = [size for size in sizes if size is not None]
        freed += Freed(len(found), sum(found))
    return freed


def _older(blobs: str, before: float) -> Iterator[tuple[str, str]]:
    """Yield name and path of the blobs that were published before a time."""
    for prefix in sorted(os.listdir(blobs)) if os.path.isdir(blobs) else ():
        with os.scandir(os.path.join(blobs, prefix)) as entries:
            # Listed before any is removed.
            found = [entry.name for entry in entries if len(entry.name) == _DIGEST_LENGTH]
        for digest in found:
            path = os.path.join(blobs, prefix, digest)
            if _size_of_older(path, before) is not None:
                yield f"sha256:{digest}", path


def _removed(path: str, before: float) -> int | None:
    """Remove a blob and return its size; None if it is gone, or newer than a time."""
    size = _size_of_older(path, before)
    if size is not None:
        os.unlink(path)
    return size


def _size_of_older(path: str, before: float) -> int | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_size if status.st_mtime < before else None

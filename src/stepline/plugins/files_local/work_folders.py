"""Folders that a run works in, and what runs left of them that were killed."""

from __future__ import annotations

import os
from contextlib import suppress

from stepline.plugins.files_local.replacing import locked_file, remove

LOCK_NAME = ".lock"


def hold(folder: str) -> int:
    """Make a work folder that `sweep_stale` leaves alone while this process lives.

    Args:
        folder: ``<parent>/.<name>.work-<anything>``; its parent exists.

    Returns:
        A descriptor; closing it, or the end of the process, lets go of the folder.

    Raises:
        OSError: The folder cannot be made.
    """
    while True:
        with suppress(FileExistsError):
            os.mkdir(folder)
        # Somebody may sweep it between these two.
        with suppress(FileNotFoundError):
            return locked_file(os.path.join(folder, LOCK_NAME))


def sweep_stale(parent: str, name: str) -> list[str]:
    """Remove the work folders ``.<name>.work-*`` that nobody holds any more.

    One that was never held stays: whose it is cannot be known.

    Returns:
        The folders that were removed.
    """
    try:
        found = [entry for entry in os.listdir(parent) if entry.startswith(f".{name}.work-")]
    except OSError:
        return []
    folders = [os.path.join(parent, entry) for entry in sorted(found)]
    return [folder for folder in folders if _removed(folder)]


def _removed(folder: str) -> bool:
    import fcntl

    try:
        descriptor = os.open(os.path.join(folder, LOCK_NAME), os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _emptied(folder)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _emptied(folder: str) -> bool:
    """Remove a folder, its lock last: without one nobody would know whose it is.

    Returns:
        Whether it is gone; the lock stays with what cannot be removed.

    Raises:
        OSError: A file in it cannot be removed.
    """
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):
            remove(path)
        elif name != LOCK_NAME:
            os.unlink(path)
    if os.listdir(folder) != [LOCK_NAME]:
        return False
    remove(folder)
    return not os.path.exists(folder)

"""Scratch folders: what a task and the platform share, for bulk bytes."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from stepline.workers.folders import empty_folder, remove_folder
from stepline.workers.roots import PlatformRoot


class ScratchFolders:
    """Folders for attempts, one for each at a time; several threads may ask.

    A folder in which nothing was left is lent again: where others sync to the same disk,
    making and removing one may take longer than a short task.

    Args:
        root: Where the folders are, nobody else's; empty for a temporary folder.
        environ: Environment of the platform.
    """

    def __init__(self, root: str, environ: Mapping[str, str]) -> None:
        self._root = PlatformRoot(root, "scratch", environ=environ)
        self._empty: deque[str] = deque()

    def take(self) -> str:
        """Return an empty folder that nobody else has."""
        try:
            return self._empty.pop()
        except IndexError:
            path = self._root.new_path()
            os.makedirs(path, mode=0o700)
            return path

    def give_back(self, path: str) -> None:
        """Take a folder back; what is in it is removed."""
        if _is_empty_folder(path):
            self._empty.append(path)
        else:
            remove_folder(path)

    def close(self) -> None:
        """Remove the empty folders, and a temporary root with all that is in it."""
        while self._empty:
            remove_folder(self._empty.pop())
        self._root.close()


_FRESH_MODE = stat.S_IFDIR | 0o700


def _is_empty_folder(path: str) -> bool:
    """Tell whether a path is a folder with nothing in it, as it was made."""
    try:
        return os.lstat(path).st_mode == _FRESH_MODE and not os.listdir(path)
    except OSError:
        return False


def empty_in_place(folder: int) -> bool:
    """Remove what a task left in a folder; tell whether it is as good as new.

    A process that is left may exchange folders for links meanwhile, so none is followed, and
    nothing is done about what cannot be removed at once.

    Args:
        folder: Descriptor of the folder.
    """
    with suppress(OSError):
        if os.listdir(folder):
            empty_folder(folder)
        return os.stat(folder).st_mode == _FRESH_MODE and not os.listdir(folder)
    return False

"""Scratch folders: what a task and the platform share, for bulk bytes."""

from __future__ import annotations

import itertools
import os
import stat
import tempfile
from collections import deque
from contextlib import suppress

from stepline.workers.folders import remove_folder


class ScratchFolders:
    """Folders for attempts, one for each at a time; several threads may ask.

    A folder in which nothing was left is lent again: where others sync to the same disk,
    making and removing one may take longer than a short task.

    Args:
        root: Where the folders are, nobody else's; empty for a temporary folder.
    """

    def __init__(self, root: str) -> None:
        self._given = root
        self._root = root
        # A task of a platform that was killed may write on for a moment, in a folder of its own.
        self._prefix = os.urandom(4).hex()
        self._numbers = itertools.count(1)
        self._empty: deque[str] = deque()

    def take(self) -> str:
        """Return an empty folder that nobody else has."""
        try:
            return self._empty.pop()
        except IndexError:
            return self.make()

    def make(self) -> str:
        """Return a new empty folder."""
        if not self._root:
            self._root = tempfile.mkdtemp(prefix="stepline-scratch-")
        path = os.path.join(self._root, f"{self._prefix}-{next(self._numbers)}")
        os.makedirs(path, mode=0o700)
        return path

    def give_back(self, path: str) -> None:
        """Take a folder back; what is in it is removed."""
        if is_empty(path):
            self._empty.append(path)
        else:
            remove_folder(path)

    def close(self) -> None:
        """Remove the empty folders, and a temporary root with all that is in it."""
        while self._empty:
            remove_folder(self._empty.pop())
        if self._root != self._given:
            remove_folder(self._root)
            self._root = self._given


def is_empty(path: str) -> bool:
    """Tell whether a path is a folder with nothing in it, as it was made."""
    try:
        found = os.lstat(path)
        return found.st_mode == _FRESH_MODE and not os.listdir(path)
    except OSError:
        return False


_FRESH_MODE = stat.S_IFDIR | 0o700


def empty_in_place(path: str) -> bool:
    """Remove what a task left in a folder; tell whether it is as good as new.

    A process that is left may exchange folders for links meanwhile, so none is followed, and
    nothing is done about what cannot be removed at once.
    """
    if not is_empty(path):
        with suppress(OSError):
            _empty(path)
    return is_empty(path)


def _empty(path: str) -> None:
    import shutil

    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for name in os.listdir(opened):
            if stat.S_ISDIR(os.lstat(name, dir_fd=opened).st_mode):
                shutil.rmtree(name, ignore_errors=True, dir_fd=opened)
            else:
                os.unlink(name, dir_fd=opened)
    finally:
        os.close(opened)

"""Scratch folders: what a task and the platform share, for bulk bytes."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from stepline.app.folders import remove_folder


class ScratchFolders:
    """Lends folders to attempts, one to each at a time; several threads may ask.

    A folder in which nothing was left is lent again: where others sync to the same disk,
    making and removing one may take longer than a short task.

    Args:
        root: Where the folders are; nobody else's.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        # A task of a platform that was killed may write on for a moment, in a folder of its own.
        self._prefix = os.urandom(4).hex()
        self._numbers = itertools.count(1)
        self._empty: deque[str] = deque()

    @property
    def root(self) -> str:
        """Where the folders are."""
        return self._root

    def clean(self) -> None:
        """Remove what a platform that was killed has left; to be called before `folder`."""
        remove_folder(self._root)

    @contextmanager
    def folder(self) -> Iterator[str]:
        """Lend an empty folder; what is in it afterwards is removed."""
        try:
            path = self._empty.popleft()
        except IndexError:
            path = os.path.join(self._root, f"{self._prefix}-{next(self._numbers)}")
            os.makedirs(path, mode=0o700)
        try:
            yield path
        finally:
            if _is_empty(path):
                self._empty.append(path)
            else:
                remove_folder(path)


def _is_empty(path: str) -> bool:
    try:
        return not os.path.islink(path) and not os.listdir(path)
    except OSError:
        return False

"""Folders of a task: an empty work folder with ``func`` in it, and a temporary one."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class TaskFolders:
    """Fresh folders for one task.

    Attributes:
        work: Current folder of the task; holds the link ``func`` and nothing else.
        tmp: The task's TMPDIR, and its HOME.
    """

    def __init__(self, root: str, number: int, code: str) -> None:
        self.work = os.path.join(root, "work-%d" % number)
        self.tmp = os.path.join(root, "tmp-%d" % number)
        os.mkdir(self.work, 0o700)
        os.mkdir(self.tmp, 0o700)
        os.symlink(code, os.path.join(self.work, "func"))

    @classmethod
    def existing(cls, paths: list[str]) -> TaskFolders:
        """Return the folders that another process made, from its `paths`."""
        folders = cls.__new__(cls)
        folders.work, folders.tmp = paths
        return folders

    @property
    def paths(self) -> list[str]:
        """Both paths, to hand to another process."""
        return [self.work, self.tmp]

    def enter(self) -> None:
        """Make these the calling process's folders."""
        os.chdir(self.work)
        os.environ["TMPDIR"] = self.tmp
        os.environ["HOME"] = self.tmp

    def remove(self) -> None:
        """Remove both with all that the task left there."""
        try:
            os.unlink(os.path.join(self.work, "func"))
            os.rmdir(self.work)
            os.rmdir(self.tmp)
        except OSError:
            remove_tree(self.work)
            remove_tree(self.tmp)


def remove_tree(path: str) -> None:
    """Remove a folder with all in it, as far as that is possible.

    Modes that forbid it are changed. Folders within are moved up before they are
    emptied, so that no depth is too much.
    """
    if os.path.islink(path):
        _attempt(os.unlink, path)
        return
    waiting = [path]
    emptied = []
    moved = 0
    while waiting:
        folder = waiting.pop()
        emptied.append(folder)
        for entry in _entries(folder):
            if entry.is_dir(follow_symlinks=False):
                moved += 1
                waiting.append(_move_up(entry.path, os.path.join(path, ".gone-%d" % moved)))
            else:
                _attempt(os.unlink, entry.path)
    for folder in reversed(emptied):
        _attempt(os.rmdir, folder)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        os.chmod(folder, 0o700)
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _move_up(folder: str, target: str) -> str:
    try:
        os.chmod(folder, 0o700)
        os.rename(folder, target)
    except OSError:
        return folder
    return target


def _attempt(act: Callable[[str], None], path: str) -> None:
    try:
        act(path)
    except OSError:
        pass

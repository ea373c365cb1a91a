"""Folders of a task: an empty work folder with ``func`` in it, and a temporary one."""

from __future__ import annotations

import os


class TaskFolders:
    """Fresh folders for one task.

    Attributes:
        work: Current folder of the task; holds the link ``func`` and nothing else.
        tmp: The task's TMPDIR; its ``home`` is the task's HOME.
    """

    def __init__(self, root: str, number: int, code: str) -> None:
        self.work = os.path.join(root, "work-%d" % number)
        self.tmp = os.path.join(root, "tmp-%d" % number)
        os.mkdir(self.work, 0o700)
        os.mkdir(self.tmp, 0o700)
        os.symlink(code, os.path.join(self.work, "func"))

    @classmethod
    def existing(cls, paths: list) -> TaskFolders:
        """Return the folders that another process made, from its `paths`."""
        folders = cls.__new__(cls)
        folders.work, folders.tmp = paths
        return folders

    @property
    def paths(self) -> list:
        """Both paths, to hand to another process."""
        return [self.work, self.tmp]

    def enter(self) -> None:
        """Make these the calling process's folders."""
        os.chdir(self.work)
        os.environ["TMPDIR"] = self.tmp
        home = os.path.join(self.tmp, "home")
        os.mkdir(home, 0o700)
        os.environ["HOME"] = home

    def remove(self) -> None:
        """Remove both with all that the task left there."""
        try:
            os.unlink(os.path.join(self.work, "func"))
            os.rmdir(self.work)
            os.rmdir(os.path.join(self.tmp, "home"))
            os.rmdir(self.tmp)
        except OSError:
            remove_tree(self.work)
            remove_tree(self.tmp)


def remove_tree(path: str) -> None:
    """Remove a folder, also one whose own modes forbid it."""
    import shutil

    def open_up(function: object, entry: str, _: object) -> None:
        try:
            os.chmod(os.path.dirname(entry), 0o700)
            os.chmod(entry, 0o700)
            function(entry)
        except OSError:
            pass

    shutil.rmtree(path, onerror=open_up)

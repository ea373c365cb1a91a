"""Folders of a task: an empty work folder with ``func`` in it, and a temporary one."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class TaskFolders:
    """Fresh folders for one task.

    Attributes:
        work: Current folder of the task; holds the link ``func`` and nothing else.
        tmp: The task's TMPDIR, and its HOME.
    """

    def __init__(self, root: str, number: int, code: str) -> None:
        self.work = os.path.join(root, "work-%d" % number)
        self.tmp = os.path.join(root, "tmp-%d" % number)
        self._code = code
        self._make()

    def enter(self) -> None:
        """Make these the calling process's folders."""
        os.chdir(self.work)
        self.set_variables()

    def set_variables(self) -> None:
        """Have the environment name the temporary folder."""
        os.environ["TMPDIR"] = self.tmp
        os.environ["HOME"] = self.tmp

    def renew(self) -> None:
        """Make both fresh for another task.

        Folders in which a task left nothing, and which it did not change, are as good as
        new ones; a file system may take long to make and remove many.
        """
        state = self._state()
        if state is None or state != self._fresh:
            self.remove()
            self._make()

    def remove(self) -> None:
        """Remove both with all that the task left there."""
        remove_tree(self.work)
        remove_tree(self.tmp)

    def _make(self) -> None:
        os.mkdir(self.work, 0o700)
        os.mkdir(self.tmp, 0o700)
        os.symlink(self._code, os.path.join(self.work, "func"))
        self._fresh = self._state()

    def _state(self) -> object:
        """Return what tells whether anybody changed something; None where it is unknown."""
        try:
            link = os.readlink(os.path.join(self.work, "func"))
            return [link == self._code, _state(self.work, ["func"]), _state(self.tmp, [])]
        except OSError:
            return None


class SharedFolders:
    """Folders that the tasks of a worker find one after another, and nobody else does.

    Args:
        paths: The folders; those that are not there are left out.
        kept: Paths in them that stay. So does what is there already, such as what something
            is mounted on.
    """

    def __init__(self, paths: Iterable[str], *, kept: Iterable[str] = ()) -> None:
        self._kept = set(kept)
        self._modes = {path: os.stat(path).st_mode for path in paths if os.path.isdir(path)}
        self._kept.update(self._content())

    def empty(self) -> bool:
        """Remove what a task left; tell whether all is as it was before."""
        try:
            for path in self._content():
                remove_tree(path)
            for folder, mode in self._modes.items():
                if os.lstat(folder).st_mode != mode:
                    os.chmod(folder, mode & 0o7777)
            return not self._content()
        except OSError:
            return False

    def _content(self) -> list[str]:
        paths = [os.path.join(each, name) for each in self._modes for name in os.listdir(each)]
        return [path for path in paths if path not in self._kept]


def _state(folder: str, content: list[str]) -> object:
    found = os.lstat(folder)
    kept = (found.st_ino, found.st_mode, found.st_uid, found.st_gid)
    return kept, os.listdir(folder) == content, _attributes(folder)


def _attributes(folder: str) -> list[str]:
    try:
        return os.listxattr(folder, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return []  # this file system has none


def remove_tree(path: str) -> None:
    """Remove a folder with all in it, or what is in its place, as far as that is possible.

    Modes that forbid it are changed. Folders within are moved up before they are
    emptied, so that no depth is too much.
    """
    if os.path.islink(path) or not os.path.isdir(path):
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

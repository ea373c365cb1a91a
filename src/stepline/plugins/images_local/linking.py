"""Copies of folders that share their files."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from pathlib import Path

_NO_LINK = (errno.EMLINK, errno.EPERM, errno.EXDEV, errno.ENOTSUP)


def link_tree(source: Path, target: Path) -> None:
    """Make a folder with all that is in another; files and links are the same ones.

    Where the file system cannot link a file once more, it is copied.

    Args:
        source: The folder.
        target: Where; must not exist.
    """
    waiting = [(str(source), str(target))]
    while waiting:
        there, here = waiting.pop()
        waiting += _link_entries(there, here)


def _link_entries(source: str, target: str) -> list[tuple[str, str]]:
    """Make a folder with the files of another; return the folders in it, with where they go."""
    os.mkdir(target)
    _take_over(os.stat(source), target)
    folders = []
    with os.scandir(source) as entries:
        for entry in entries:
            path = os.path.join(target, entry.name)
            if entry.is_dir(follow_symlinks=False):
                folders.append((entry.path, path))
            else:
                _link(entry.path, path)
    return folders


def sync_disk(path: Path) -> None:
    """Have the file system of a path write out what was written to it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copy2(source, target, follow_symlinks=False)


def _take_over(found: os.stat_result, folder: str) -> None:
    """Give a folder the owner and mode of another."""
    if os.geteuid() == 0:
        os.chown(folder, found.st_uid, found.st_gid)
    os.chmod(folder, stat.S_IMODE(found.st_mode))

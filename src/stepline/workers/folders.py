"""Removal of folders."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_OPEN = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ALL = 0o700
# What goes on making folders meanwhile is not waited for any longer.
_EMPTYING_SECONDS = 30.0


def remove_folder(path: str | os.PathLike[str]) -> None:
    """Remove a folder with all that is in it, as far as that can be done.

    Of a link, only the link itself is removed. No link is followed, whoever exchanges what
    meanwhile. Folders within are moved up before they are emptied, so no depth is too much.

    The standard library's way imports three compression libraries, a tenth of a short
    command's time.
    """
    with suppress(OSError):
        if os.path.islink(path):
            os.unlink(path)
            return
        with _opened(path) as top:
            empty_folder(top)
    with suppress(OSError):
        os.rmdir(path)


def empty_folder(top: int) -> None:
    """Remove what is in a folder, as `remove_folder` does, also while somebody changes it.

    Args:
        top: Descriptor of the folder.

    Raises:
        OSError: It cannot be read.
    """
    until = time.monotonic() + _EMPTYING_SECONDS
    prefix = f".gone-{os.urandom(4).hex()}-"
    names = (f"{prefix}{number}" for number in itertools.count())
    waiting = _without_files(top)
    while waiting and time.monotonic() < until:
        name = waiting.pop()
        with suppress(OSError), _opened(name, within=top) as folder:
            found = zip(_without_files(folder), names, strict=False)
            waiting += [moved for inner, moved in found if _moved(inner, folder, moved, top)]
        with suppress(OSError):
            os.rmdir(name, dir_fd=top)


def _without_files(folder: int) -> list[str]:
    """Remove all of a folder but folders; return their names."""
    folders = []
    for name in os.listdir(_path_of(folder)):
        try:
            os.unlink(name, dir_fd=folder)
        except IsADirectoryError:
            folders.append(name)
        except OSError:
            pass
    return folders


def _moved(name: str, folder: int, target: str, top: int) -> bool:
    """Move a folder up; tell whether that could be done."""
    with suppress(OSError):
        with _opened(name, within=folder):
            pass  # it cannot be moved while it cannot be written to
        os.rename(name, target, src_dir_fd=folder, dst_dir_fd=top)
        return True
    return False


@contextmanager
def _opened(path: str | os.PathLike[str], *, within: int | None = None) -> Iterator[int]:
    """Give a descriptor of a folder, whose mode no longer keeps its owner out."""
    folder = os.open(path, _OPEN, dir_fd=within)
    try:
        if os.fstat(folder).st_mode & _ALL != _ALL:
            with suppress(OSError):
                os.chmod(_path_of(folder), _ALL)
        yield folder
    finally:
        os.close(folder)


def _path_of(folder: int) -> str:
    return f"/proc/self/fd/{folder}"

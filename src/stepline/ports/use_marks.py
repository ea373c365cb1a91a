"""Marks beside folders of the cache, which tell who uses them and when somebody last did.

A mark is an empty file ``<folder>.used``. Its time is that of the last use; a shared lock
on it, which the kernel lifts from a process that was killed, says that the folder is in
use now. Whoever removes the folder locks the mark for itself alone. So several processes
can share one cache, and one may clean it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_ENDING = ".used"
_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def hold(folder: str | os.PathLike[str], *, make: bool = True) -> int | None:
    """Say that a folder is in use, until the descriptor that this returns is closed.

    Look afterwards whether the folder is there: it may just have been removed.

    Args:
        folder: The folder; it need not exist, what it lies in must.
        make: Whether to make a mark if there is none, or to do nothing then.

    Returns:
        None where there can be no mark, such as in a cache that only others may write to.
    """
    import fcntl

    flags = _OPEN if make else _OPEN & ~os.O_CREAT
    while True:
        try:
            descriptor = os.open(_mark(folder), flags, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            os.utime(descriptor)
        except OSError:
            os.close(descriptor)
            return None
        if _is_there(descriptor, _mark(folder)):
            return descriptor
        os.close(descriptor)


def note_use(folder: str | os.PathLike[str]) -> bool:
    """Say that a folder was used just now; return whether it is there."""
    descriptor = hold(folder)
    if descriptor is not None:
        os.close(descriptor)
    return os.path.isdir(folder)


@contextmanager
def unused(folder: str, *, before: float) -> Iterator[bool]:
    """Give whether a folder may be removed: nobody uses it, nor did since a time.

    Meanwhile nobody begins to use it. If the folder is gone in the end, its mark goes too.

    Args:
        folder: The folder. One without a mark was last used when it was changed last.
        before: Seconds since the epoch.

    Raises:
        OSError: There is no place for a mark.
    """
    import fcntl

    descriptor, is_new = _opened(folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_new:
            last_used = os.lstat(folder).st_mtime
            os.utime(descriptor, (last_used, last_used))
        is_alone = _is_there(descriptor, _mark(folder))
    except (BlockingIOError, FileNotFoundError):
        is_alone = False
    try:
        yield is_alone and os.fstat(descriptor).st_mtime < before
        if is_alone and not os.path.lexists(folder):
            os.unlink(_mark(folder))
    finally:
        os.close(descriptor)


def _mark(folder: str | os.PathLike[str]) -> str:
    return os.fspath(folder) + _ENDING


def _opened(folder: str) -> tuple[int, bool]:
    """Return a mark's descriptor, and whether the mark was made just now."""
    with suppress(FileExistsError):
        return os.open(_mark(folder), _OPEN | os.O_EXCL, 0o600), True
    return os.open(_mark(folder), _OPEN, 0o600), False


def _is_there(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False

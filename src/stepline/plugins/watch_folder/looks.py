"""Whether a file may be taken: by its name, its kind, and whether somebody writes to it."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import stat
from enum import Enum
from typing import NamedTuple

_PARTIAL = ("~", ".part", ".partial", ".tmp", ".crdownload")

# By the numbers in linux/magic.h: ext2 to ext4, xfs, btrfs, tmpfs, overlayfs, f2fs, zfs and
# bcachefs. On these, all who write do so through this kernel, which knows of each.
LEASE_FILE_SYSTEMS = frozenset(
    (
        0xEF53,
        0x58465342,
        0x9123683E,
        0x01021994,
        0x794C7630,
        0xF2F52010,
        0x2FC12FC1,
        0xCA451A4E,
    )
)


class Stamp(NamedTuple):
    """What changes when a file is written to or another takes its place."""

    inode: int
    mtime_ns: int
    size: int


class Writers(Enum):
    """Whether somebody has a file open for writing."""

    NONE = "none"
    SOME = "some"
    UNKNOWN = "unknown"


class Refused(Exception):
    """A file cannot be taken; its text says why, without the path."""


def is_left_alone(name: str) -> bool:
    """Return whether a name is that of a hidden or partial file or folder."""
    return name.startswith(".") or name.casefold().endswith(_PARTIAL)


def stamp_of(path: str) -> Stamp | None:
    """Return the state of a file; None if there is none, or a folder in its place.

    Raises:
        Refused: It is not a plain file, or cannot be looked at.
    """
    try:
        path.encode()
        status = os.lstat(path)
    except UnicodeEncodeError:
        raise Refused("its name is not in UTF-8") from None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Refused(f"cannot be looked at: {error.strerror}") from error
    return None if stat.S_ISDIR(status.st_mode) else _plain(status)


def writers(path: str, *, lease_file_systems: frozenset[int]) -> tuple[Writers, Stamp | None]:
    """Return who writes to a file, and its state at that moment.

    Args:
        path: A plain file.
        lease_file_systems: Those that tell of every writer, by their magic numbers.

    Returns:
        The stamp is None if the file is gone.

    Raises:
        Refused: It may not be read, or is no plain file any more.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return Writers.UNKNOWN, None
    except BlockingIOError:  # somebody holds a lease for writing
        return Writers.SOME, stamp_of(path)
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}") from error
    try:
        if _magic(file) not in lease_file_systems:
            return Writers.UNKNOWN, _plain(os.fstat(file))
        return _by_lease(file)
    finally:
        os.close(file)


def _by_lease(file: int) -> tuple[Writers, Stamp]:
    """Ask the kernel for a lease to read, which it gives only where nobody writes."""
    found = Writers.NONE
    try:
        # The signal of a lease that somebody breaks would end this process otherwise.
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        found = Writers.SOME if error.errno == errno.EAGAIN else Writers.UNKNOWN
    # Who opens the file for writing now waits until the lease is given back.
    stamp = _plain(os.fstat(file))
    if found is Writers.NONE:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return found, stamp


def _plain(status: os.stat_result) -> Stamp:
    if stat.S_ISLNK(status.st_mode):
        raise Refused("is a symbolic link, which is not followed")
    if not stat.S_ISREG(status.st_mode):
        raise Refused("is not a plain file")
    return Stamp(status.st_ino, status.st_mtime_ns, status.st_size)


_libc = ctypes.CDLL(None, use_errno=True)


def _magic(file: int) -> int:
    """Return the number of the file's kind of file system; 0 if unknown."""
    # The first field of `struct statfs` is a word; the whole is below 256 bytes.
    answer = (ctypes.c_long * 64)()
    return answer[0] & 0xFFFF_FFFF if _libc.fstatfs(file, answer) == 0 else 0

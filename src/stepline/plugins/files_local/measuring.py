"""Files that were measured, and whether they still are what they were then."""

from __future__ import annotations

import os
from io import BufferedReader

from stepline.errors import UploadError
from stepline.frozen import frozen
from stepline.ports.files import open_plain


@frozen
class Staged:
    """A file of a staging area.

    Attributes:
        path: Where it is.
        stamp: Size, times and names that it had when it was measured.
        sealed: Whether nobody could write to it any more without changing its times.
    """

    path: str
    stamp: tuple[int, ...]
    sealed: bool

    def is_unchanged(self, sha256: str) -> bool:
        """Return whether its bytes are those that were measured.

        Args:
            sha256: Hex digest that they had.

        Raises:
            UploadError: It is gone, or no plain file any more.
        """
        with open_plain(self.path) as file:
            same = _stamp(file) == self.stamp
            return same and (self.sealed or sha256_of(file) == sha256)


def measured(path: str) -> tuple[Staged, str]:
    """Return a file that must be plain and have no other name, and its SHA-256.

    Raises:
        UploadError: It is something else.
        OSError: It cannot be read.
    """
    with open_plain(path) as file:
        status = os.fstat(file.fileno())
        if status.st_nlink != 1:
            raise UploadError("the content is a file that has other names too")
        if status.st_mode & 0o7111:
            os.fchmod(file.fileno(), status.st_mode & 0o666)
        # Both before the digest, so that what is written during it shows too.
        sealed, stamp = _has_no_writer(file), _stamp(file)
        return Staged(path, stamp, sealed), sha256_of(file)


def _stamp(file: BufferedReader) -> tuple[int, ...]:
    """Return what changes when a file is written to or gets another name."""
    status = os.fstat(file.fileno())
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_nlink)


def _has_no_writer(file: BufferedReader) -> bool:
    """Return whether nobody has a file open, or in memory, for writing; False if unknown.

    A write that follows opening the file anew changes its times. One through memory
    that was mapped before need not, and a quick one may come within the clock's tick.
    """
    import fcntl
    import signal

    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        # The signal of a lease that somebody breaks would end this process otherwise.
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:
        return False
    return True


def sha256_of(file: BufferedReader) -> str:
    """Return the digest of the rest of a file, in hex digits."""
    import hashlib

    return hashlib.file_digest(file, "sha256").hexdigest()

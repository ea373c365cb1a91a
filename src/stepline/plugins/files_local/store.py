"""A folder of bytes by content, and files of the user that stay where they are.

Written bytes are named ``sha256:<hex>``. A user's file is named
``file:<size>:<mtime>:<path>``: it is hashed only if its digest is asked for, and refused
once it is no longer what it was. Published bytes are not synced to the disk: this
store lives as long as a run.
"""

from __future__ import annotations

import itertools
import os
import stat
from io import BufferedReader
from typing import BinaryIO

from stepline.errors import PlatformError, UploadError
from stepline.frozen import frozen
from stepline.plugins.files_local.disk import disk_error
from stepline.ports.files import Blob, open_plain

CHUNK_BYTES = 1024 * 1024
_KEPT = "what the task wrote cannot be kept"


class FolderStore:
    """Keeps bytes in a folder.

    Args:
        root: The folder; made when the first bytes arrive.
    """

    def __init__(self, root: str) -> None:
        # Links to its files are made in other folders.
        self._root = os.path.abspath(root)
        self._areas = itertools.count(1)

    def staging(self) -> FolderStaging:
        """Return an empty staging area."""
        path = os.path.join(self._root, "staging", f"{os.getpid()}-{next(self._areas)}")
        return FolderStaging(self, path)

    def adopt(self, path: str) -> Blob:
        """Name a user's file without copying or reading it; its digest stays open.

        Raises:
            UploadError: It is missing, unreadable, or not a plain file.
        """
        try:
            status = os.stat(path)
        except FileNotFoundError:
            raise UploadError(f"there is no file '{path}'") from None
        except OSError as error:
            raise UploadError(f"'{path}' cannot be read: {error.strerror}") from error
        if stat.S_ISDIR(status.st_mode):
            raise UploadError(f"'{path}' is a folder", hint="name one file in it")
        if not stat.S_ISREG(status.st_mode):
            raise UploadError(f"'{path}' is not a plain file")
        if not os.access(path, os.R_OK):
            raise UploadError(f"'{path}' may not be read", hint="look at its permissions")
        name = f"file:{status.st_size}:{status.st_mtime_ns}:{os.path.abspath(path)}"
        return Blob(name, size=status.st_size, sha256="")

    def open(self, name: str) -> BufferedReader:
        """Open a blob for reading.

        Raises:
            PlatformError: The blob is gone, or is not what it was.
        """
        return open_blob(self.local_path(name))

    def local_path(self, name: str) -> str:
        """Return the path of a blob.

        Raises:
            PlatformError: The blob is gone, or is not what it was.
        """
        kind, _, rest = name.partition(":")
        if kind == "sha256":
            return self.path_of(rest)
        if kind != "file":
            raise PlatformError(f"the file store holds no bytes named '{name}'")
        size, mtime, path = rest.split(":", 2)
        try:
            status = os.stat(path)
        except OSError as error:
            raise PlatformError(f"'{path}' cannot be read: {error.strerror}") from error
        if (status.st_size, status.st_mtime_ns) != (int(size), int(mtime)):
            raise PlatformError(f"'{path}' was changed after the workflow was started")
        return path

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a blob as hex digits, reading it where that is needed."""
        kind, _, rest = name.partition(":")
        if kind == "sha256":
            return rest
        with self.open(name) as file:
            return _sha256(file)

    def presigned_url(self, name: str, *, ttl_s: float) -> str | None:
        """Return None: a folder cannot hand out addresses that end with time."""
        return None

    def path_of(self, sha256: str) -> str:
        """Return where bytes with this digest are, or would be."""
        return os.path.join(self._root, "blobs", sha256[:2], sha256)


@frozen
class _Staged:
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
        """Return whether its bytes are those that were measured."""
        with open_plain(self.path) as file:
            same = _stamp(file) == self.stamp
            return same and (self.sealed or _sha256(file) == sha256)


class FolderStaging:
    """Bytes that one attempt wrote; a folder of their own inside the store's.

    Args:
        store: Where they go when they are published.
        path: The folder; made when the first bytes arrive.
    """

    def __init__(self, store: FolderStore, path: str) -> None:
        self._store = store
        self._path = path
        self._staged: dict[str, _Staged] = {}
        self._numbers = itertools.count(1)

    def add(self, path: str, *, move: bool = False) -> Blob:
        """Take in the bytes of a file.

        Args:
            path: A plain file; links and devices are refused.
            move: Whether the file may be moved away, as is quicker.

        Raises:
            UploadError: The path is not a plain file.
            PlatformError: There is no place for the bytes.
        """
        target = os.path.join(self._path, str(next(self._numbers)))
        try:
            os.makedirs(self._path, mode=0o700, exist_ok=True)
            if not move or not _move(path, target):
                _copy(path, target)
            staged, sha256 = _measured(target)
        except OSError as error:
            _remove(target)
            raise disk_error(error, _KEPT, retryable=True) from error
        except BaseException:
            _remove(target)
            raise
        blob = Blob(f"sha256:{sha256}", size=staged.stamp[0], sha256=sha256)
        if blob.name in self._staged:
            _remove(target)
        self._staged.setdefault(blob.name, staged)
        return blob

    def open(self, name: str) -> BufferedReader:
        """Open a staged blob, or one of the store, for reading."""
        return open_blob(self.local_path(name))

    def local_path(self, name: str) -> str:
        """Return the path of a staged blob, or of one of the store."""
        staged = self._staged.get(name)
        return staged.path if staged else self._store.local_path(name)

    def publish(self) -> None:
        """Hand everything over to the store.

        Raises:
            UploadError: Bytes are no longer those that were taken in; nothing was handed over.
            PlatformError: There is no place for the bytes.
        """
        digests = {name: name.partition(":")[2] for name in self._staged}
        try:
            for name, staged in self._staged.items():
                if not staged.is_unchanged(digests[name]):
                    raise UploadError(
                        "the content of a file was changed after it had been written",
                        hint="write it again, once it is complete",
                    )
            for name, staged in self._staged.items():
                _keep(staged.path, self._store.path_of(digests[name]))
        except OSError as error:
            raise disk_error(error, _KEPT, retryable=True) from error
        self._staged.clear()

    def discard(self) -> None:
        """Remove everything that was not published."""
        for staged in self._staged.values():
            _remove(staged.path)
        self._staged.clear()
        try:
            os.rmdir(self._path)
        except OSError:
            pass


def open_blob(path: str) -> BufferedReader:
    """Open a file of a store.

    Raises:
        PlatformError: It cannot be read.
    """
    try:
        return open(path, "rb")
    except OSError as error:
        raise PlatformError(f"'{path}' cannot be read: {error.strerror}") from error


def copy_bytes(source: str, target: str) -> None:
    """Copy a file to a new one, in the kernel and sharing blocks where that can be done."""
    with open_blob(source) as reading, open(target, "xb") as writing:
        _copy_open(reading, writing)


def _move(path: str, target: str) -> bool:
    try:
        # Looked at again once nobody else can exchange it.
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
        os.rename(path, target)
    except OSError:
        # Another file system, as a rule.
        return False
    return True


def _copy(path: str, target: str) -> None:
    with open_plain(path) as reading, open(target, "xb") as writing:
        _copy_open(reading, writing)


def _copy_open(reading: BinaryIO, writing: BinaryIO) -> None:
    try:
        while os.copy_file_range(reading.fileno(), writing.fileno(), 1 << 30):
            pass
    except OSError:
        # Not between these file systems; go on by hand where the kernel stopped.
        while chunk := os.read(reading.fileno(), CHUNK_BYTES):
            writing.write(chunk)


def _keep(path: str, target: str) -> None:
    """Put bytes where the store has them; where they are already, those stay."""
    if os.path.exists(target):
        _remove(path)
        return
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    os.rename(path, target)


def _measured(path: str) -> tuple[_Staged, str]:
    """Return a file that must be plain and have no other name, and its digest."""
    with open_plain(path) as file:
        status = os.fstat(file.fileno())
        if status.st_nlink != 1:
            raise UploadError("the content is a file that has other names too")
        if status.st_mode & 0o7111:
            os.fchmod(file.fileno(), status.st_mode & 0o666)
        # Both before the digest, so that what is written during it shows too.
        sealed, stamp = _has_no_writer(file), _stamp(file)
        return _Staged(path, stamp, sealed), _sha256(file)


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


def _sha256(file: BufferedReader) -> str:
    import hashlib

    return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass

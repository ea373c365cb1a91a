"""A folder of bytes by content, and files of the user that stay where they are.

Written bytes are named ``sha256:<hex>``. A user's file is named
``file:<size>:<mtime>:<path>``: it is hashed only if its digest is asked for, and refused
once it is no longer what it was. The store of a run lives as long as the run, and does
not sync what is published; that of a service is a durable one.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from io import BufferedReader
from typing import TYPE_CHECKING, BinaryIO

from stepline.errors import PlatformError, UploadError
from stepline.plugins.files_local.disk import disk_error
from stepline.plugins.files_local.measuring import Staged, measured, sha256_of
from stepline.ports.files import Blob, open_plain

if TYPE_CHECKING:
    from stepline.plugins.files_local.durable import DurableFolder
    from stepline.plugins.files_local.uploads import FolderUploads
    from stepline.ports.freed import Freed

CHUNK_BYTES = 1024 * 1024
_KEPT = "what the task wrote cannot be kept"


class FolderStore:
    """Keeps bytes in a folder.

    Args:
        root: The folder; made when the first bytes arrive.
        durable: Whether published bytes must outlast a crash of the machine.
    """

    def __init__(self, root: str, *, durable: bool = False) -> None:
        # Links to its files are made in other folders.
        self._root = os.path.abspath(root)
        self._areas = itertools.count(1)
        self._disk = _durable_folder(self._root) if durable else None
        self._uploads: FolderUploads | None = None

    @property
    def durable(self) -> bool:
        """Whether published bytes outlast a crash of the machine."""
        return self._disk is not None

    def staging(self) -> FolderStaging:
        """Return an empty staging area."""
        return FolderStaging(self)

    def new_area(self) -> str:
        """Return a path that nobody else begins the paths of staged files with.

        All areas share one folder: making one for each costs as much as syncing a file.

        Raises:
            OSError: The folder cannot be made.
        """
        if self._disk:
            home = self._disk.session()
        else:
            home = os.path.join(self._root, "staging")
            os.makedirs(home, mode=0o700, exist_ok=True)
        return os.path.join(home, f"{os.getpid()}-{next(self._areas)}")

    def take(self, digests: Mapping[str, str]) -> None:
        """Take over files that have been measured.

        Args:
            digests: The SHA-256 of each file, by its path, which is on the same disk.

        Raises:
            OSError: There is no place for them, or the disk failed.
        """
        moves = {path: self.path_of(sha256) for path, sha256 in digests.items()}
        if self._disk:
            self._disk.keep(moves)
            return
        for path, target in moves.items():
            _keep(path, target)

    def reuse(self, sha256: str, size: int) -> bool:
        """Publish bytes that are there already; False where they are not.

        Raises:
            OSError: The disk failed.
        """
        path = self.path_of(sha256)
        if self._disk:
            return self._disk.reuse(path, size)
        return os.path.exists(path)

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
            return sha256_of(file)

    def verify(self, name: str) -> bool:
        """Read a blob and return whether its bytes are there and have its digest.

        Raises:
            PlatformError: It cannot be read.
        """
        path = self.local_path(name)
        try:
            with open(path, "rb") as file:
                return not name.startswith("sha256:") or f"sha256:{sha256_of(file)}" == name
        except FileNotFoundError:
            return False
        except OSError as error:
            raise disk_error(error, "a blob cannot be read") from error

    def delete_unreferenced(
        self,
        names_in_use: Callable[[Sequence[str]], frozenset[str]],
        *,
        older_than_s: float,
        dry_run: bool = False,
    ) -> Freed:
        """Remove blobs that nothing refers to, from a durable store.

        Args:
            names_in_use: Given some names, returns those that something refers to.
            older_than_s: Seconds; what was published later than that stays.
            dry_run: Whether to remove nothing, and only tell what would be.

        Raises:
            PlatformError: Something cannot be removed; the rest stays.
        """
        from stepline.plugins.files_local.upkeep import delete_unreferenced

        if self._disk is None:
            raise PlatformError("the store of a run notes no times to remove blobs by")
        # Each of these was published before it was asked for, or is too young to be removed.
        of_uploads = self.uploads.finished_blobs()
        try:
            return delete_unreferenced(
                self._disk,
                lambda names: names_in_use(names) | of_uploads.intersection(names),
                older_than_s=older_than_s,
                dry_run=dry_run,
            )
        except OSError as error:
            raise disk_error(error, "unused bytes cannot be removed", retryable=True) from error

    def clean(self) -> None:
        """Remove staging folders of dead processes, and uploads that were given up.

        Raises:
            PlatformError: The folder cannot be read.
        """
        try:
            if self._disk:
                self._disk.sweep()
            self.uploads.delete_given_up()
        except OSError as error:
            raise disk_error(error, "left-over files cannot be removed", retryable=True) from error

    @property
    def uploads(self) -> FolderUploads:
        """Files that arrive in parts."""
        from stepline.plugins.files_local.uploads import FolderUploads

        if self._uploads is None:
            self._uploads = FolderUploads(os.path.join(self._root, "uploads"), self)
        return self._uploads

    def presigned_url(self, name: str, *, ttl_s: float) -> str | None:
        """Return None: a folder cannot hand out addresses that end with time."""
        return None

    def path_of(self, sha256: str) -> str:
        """Return where bytes with this digest are, or would be."""
        return os.path.join(self._root, "blobs", sha256[:2], sha256)


class FolderStaging:
    """Bytes that one attempt wrote; files of their own inside the store's folder.

    Args:
        store: Where they go when they are published.
    """

    def __init__(self, store: FolderStore) -> None:
        self._store = store
        self._area = ""
        self._is_lost = False
        self._staged: dict[str, Staged] = {}
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
        target = ""
        try:
            self._area = self._area or self._store.new_area()
            target = f"{self._area}-{next(self._numbers)}"
            if not move or not _move(path, target):
                _copy(path, target)
            staged, sha256 = measured(target)
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
        if self._is_lost:
            raise PlatformError(f"{_KEPT}: the disk failed an earlier try", retryable=True)
        digests = {staged.path: name.partition(":")[2] for name, staged in self._staged.items()}
        try:
            for staged in self._staged.values():
                if not staged.is_unchanged(digests[staged.path]):
                    raise UploadError(
                        "the content of a file was changed after it had been written",
                        hint="write it again, once it is complete",
                    )
            self._store.take(digests)
        except OSError as error:
            # A sync that failed once may succeed the next time without the bytes being there.
            self._is_lost = self._store.durable
            raise disk_error(error, _KEPT, retryable=True) from error
        self._staged.clear()

    def discard(self) -> None:
        """Remove everything that was not published."""
        for staged in self._staged.values():
            _remove(staged.path)
        self._staged.clear()


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


def _durable_folder(root: str) -> DurableFolder:
    from stepline.plugins.files_local.durable import DurableFolder

    return DurableFolder(root)


def _move(path: str, target: str) -> bool:
    try:
        # Looked at again once nobody else can exchange it.
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            return False
        os.rename(path, target)
        if found.st_uid and not os.geteuid():
            os.chown(target, 0, 0, follow_symlinks=False)  # in containers, tasks are other users
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


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass

"""Bytes that are on the disk before anybody is told of them.

Bytes are synced under the name that they were staged by, then renamed, then the folder
that they were renamed into is synced. So a blob is always whole, whenever the machine
stops. Who publishes bytes that are there already touches them only, and upkeep removes
only what nobody touched for long; the lock of one file keeps the two apart.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from stepline.plugins.files_local.work_folders import hold, sweep_stale

_SESSIONS = "staging"


class DurableFolder:
    """The folder of a store that syncs.

    Args:
        root: The folder; made when it is needed.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.blobs = os.path.join(root, "blobs")
        self._staging = os.path.join(root, "staging")
        self._mutex = threading.Lock()
        self._synced: set[str] = set()
        self._session = ""

    def session(self) -> str:
        """Return a folder for staging that others leave alone while this object lives.

        Raises:
            OSError: It cannot be made.
        """
        with self._mutex:
            if not self._session:
                make_synced(self.root)
                os.makedirs(self._staging, mode=0o700, exist_ok=True)
                name = f".{_SESSIONS}.work-{os.getpid()}-{os.urandom(4).hex()}"
                folder = os.path.join(self._staging, name)
                weakref.finalize(self, os.close, hold(folder))
                self._session = folder
            return self._session

    def sweep(self) -> None:
        """Remove the staging folders that dead processes left."""
        sweep_stale(self._staging, _SESSIONS)
        # Who was killed before it could lock its folder left an empty one.
        for name in os.listdir(self._staging) if os.path.isdir(self._staging) else ():
            with suppress(OSError):
                os.rmdir(os.path.join(self._staging, name))

    def keep(self, moves: Mapping[str, str]) -> None:
        """Give bytes their names; when this returns they are on the disk.

        Bytes that are there in full length already stay, and are touched.

        Args:
            moves: Where each file goes, which is a path below `blobs`.

        Raises:
            OSError: They cannot be kept. What was not synced has no name.
        """
        if not moves:
            return
        folders = {os.path.dirname(target) for target in moves.values()}
        self._prepare(folders)
        left, synced = dict(moves), set[str]()
        may_be_there = True
        while left:
            for path, target in left.items():
                if not (may_be_there and _have_one_size(path, target)):
                    _touch_and_sync(path)
                    synced.add(path)
            with self.locked(exclusively=False):
                left = {path: to for path, to in left.items() if not _placed(path, to, synced)}
            # What was there was removed just now; it is synced and placed the next time.
            may_be_there = False
        sync_folders(folders)

    def reuse(self, target: str, size: int) -> bool:
        """Publish bytes that are there already; False where they are not.

        Raises:
            OSError: The disk failed.
        """
        self._prepare(set())
        with self.locked(exclusively=False):
            try:
                if os.stat(target).st_size != size:
                    return False
                os.utime(target)
            except FileNotFoundError:
                return False
        sync(os.path.dirname(target))
        return True

    @contextmanager
    def locked(self, *, exclusively: bool) -> Iterator[None]:
        """Keep others from removing blobs meanwhile, or from publishing any too.

        Raises:
            OSError: There is no place for the lock.
        """
        import fcntl

        path = os.path.join(self.root, "blobs.lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if exclusively else fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    def _prepare(self, folders: set[str]) -> None:
        """Make folders for blobs; syncs what this object has not seen synced."""
        with self._mutex:
            if not self._synced:
                make_synced(self.blobs)
                found = [os.path.join(self.blobs, name) for name in os.listdir(self.blobs)]
                # Who made these may have been killed before it synced them.
                sync_folders([self.blobs, self.root, os.path.dirname(self.root)])
                self._synced.update([self.blobs, *found])
            if missing := folders - self._synced:
                for folder in missing:
                    os.makedirs(folder, mode=0o700, exist_ok=True)
                sync(self.blobs)
                self._synced |= missing


def make_synced(folder: str) -> None:
    """Make a folder, and those above it, so that they outlast a crash of the machine.

    Raises:
        OSError: It cannot be made.
    """
    missing = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for each in reversed(missing):
        with suppress(FileExistsError):
            os.mkdir(each, mode=0o700)
        sync(os.path.dirname(each))


def sync(path: str) -> None:
    """Wait until a file's bytes, or a folder's entries, are on the disk.

    Raises:
        OSError: They may not be there, and may never come to be there.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folders(paths: Iterable[str]) -> None:
    """Sync each of some folders once.

    Raises:
        OSError: Their entries may not be on the disk.
    """
    for path in dict.fromkeys(paths):
        sync(path)


def _touch_and_sync(path: str) -> None:
    # A task may have given its file any time; upkeep goes by that of publishing.
    os.utime(path)
    sync(path)


def _placed(path: str, target: str, synced: set[str]) -> bool:
    """Put bytes where they belong, or use those that are there; False if neither can be."""
    if _have_one_size(path, target):
        os.utime(target)
        os.unlink(path)
        return True
    if path in synced:
        # Over one of another size: that is a damaged one.
        os.rename(path, target)
        return True
    return False


def _have_one_size(path: str, target: str) -> bool:
    try:
        return os.stat(target).st_size == os.stat(path).st_size
    except FileNotFoundError:
        return False

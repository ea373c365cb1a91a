"""Folders of platforms and their workers, below the machine's folder for temporary files."""

from __future__ import annotations

import errno
import itertools
import os
import stat
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

from stepline.errors import PlatformError
from stepline.workers.folders import remove_folder

_PREFIX = "stepline-"
# Far longer than passes between making a folder and starting the worker in it, or locking it.
_FORSAKEN_S = 1.0
_KINDS = ("scratch", "docker", "sandbox")


def root_name(environ: Mapping[str, str], kind: str = "") -> str:
    """Return a path that nothing has yet, to be the folder of a worker or a platform.

    It is in TMPDIR, or in ``/tmp`` where that is no full path of a folder.

    Args:
        environ: Environment of the platform.
        kind: What a platform has its folders there for; empty for a worker.
    """
    temporary = environ.get("TMPDIR", "")
    if not (os.path.isabs(temporary) and os.path.isdir(temporary)):
        temporary = "/tmp"
    whose = f"{kind}-{os.getpid()}" if kind else f"{os.getpid()}"
    return os.path.join(temporary, f"{_PREFIX}{whose}-{os.urandom(4).hex()}")


def make_root(root: str) -> None:
    """Make the folder of a worker or a platform, for its owner alone.

    Raises:
        PlatformError: It cannot be made.
    """
    try:
        os.mkdir(root, 0o700)
    except OSError as error:
        raise PlatformError(
            f"the folder {root} for tasks cannot be made: {error.strerror}",
            hint="have TMPDIR name a folder with room that you may write to",
            retryable=error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO),
        ) from error


class PlatformRoot:
    """Where one platform has folders of tasks: a given folder, or a temporary one.

    A temporary one is made when it is needed, and locked as long as the platform lives.
    Several threads may ask.

    Args:
        given: The folder, nobody else's; empty for a temporary one.
        kind: What the folders are for, one of ``scratch``, ``docker`` and ``sandbox``.
        environ: Environment of the platform.
    """

    def __init__(self, given: str, kind: str, *, environ: Mapping[str, str]) -> None:
        self._given = given
        self._kind = kind
        self._environ = environ
        self._temporary = ""
        self._lock = threading.Lock()
        self._held = -1
        # What a killed platform left may be in use for a moment, in a folder of its own.
        self._prefix = os.urandom(4).hex()
        self._numbers = itertools.count(1)

    def new_path(self) -> str:
        """Return a path that nothing has yet; what is above it may have to be made.

        Raises:
            PlatformError: The temporary folder cannot be made.
        """
        root = self._given or self._made()
        return os.path.join(root, f"{self._prefix}-{next(self._numbers)}")

    def close(self) -> None:
        """Remove a temporary folder with all that is in it."""
        with self._lock:
            if self._temporary:
                remove_folder(self._temporary)
                os.close(self._held)
                self._temporary = ""

    def _made(self) -> str:
        import fcntl

        with self._lock:
            if not self._temporary:
                root = root_name(self._environ, self._kind)
                make_root(root)
                self._held = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                fcntl.flock(self._held, fcntl.LOCK_SH)
                self._temporary = root
            return self._temporary


def remove_forsaken(root: str) -> None:
    """Remove what this user's platforms have left that were killed.

    That is what nobody holds of their temporary folders, and of the folders of workers those
    that are empty: a worker that has begun removes its folder itself, whatever becomes of
    the platform.

    Args:
        root: A path that `root_name` gave; the folders are beside it.
    """
    parent = os.path.dirname(root)
    try:
        names = [name for name in os.listdir(parent) if name.startswith(_PREFIX)]
    except OSError:
        return
    for name in names:
        kind, _, rest = name.removeprefix(_PREFIX).partition("-")
        if kind in _KINDS:
            pid, _, rest = rest.partition("-")
        else:
            kind, pid = "", kind
        if rest and pid.isdecimal() and not os.path.exists(f"/proc/{pid}"):
            with suppress(OSError):
                _remove_if_forsaken(os.path.join(parent, name), whole=bool(kind))


def _remove_if_forsaken(folder: str, *, whole: bool) -> None:
    found = os.lstat(folder)
    # Where processes of others cannot be seen, one of them may be about to use it.
    if not stat.S_ISDIR(found.st_mode) or time.time() - found.st_mtime <= _FORSAKEN_S:
        return
    if not whole:
        os.rmdir(folder)
    elif found.st_uid == os.geteuid():
        _remove_unless_held(folder)


def _remove_unless_held(folder: str) -> None:
    import fcntl

    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_folder(folder)
    finally:
        os.close(opened)

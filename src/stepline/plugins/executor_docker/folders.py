"""Folders that the platform shares with containers: one for each container.

In each are the folder of a socket and the scratch folder, which are mounted; what is above
them is the platform's alone.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import tempfile
from collections.abc import Mapping
from contextlib import suppress

from stepline.workers.folders import remove_folder
from stepline.workers.inside import GROUP, USER
from stepline.workers.scratch import is_empty

SOCKET = "worker.sock"
_PREFIX = "stepline-docker-"


class SharedFolder:
    """What one container and the platform share.

    Args:
        path: Where it is; made here.

    Attributes:
        sockets: Folder of the worker's socket.
        scratch: Folder for bulk bytes.
        user: ``uid:gid`` that a container which can use them runs as.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.sockets = os.path.join(path, "socket")
        self.scratch = os.path.join(path, "scratch")
        uid, gid = os.geteuid(), os.getegid()
        os.makedirs(path, mode=0o700)
        os.mkdir(self.sockets)
        os.chmod(self.sockets, 0o755)
        os.mkdir(self.scratch, 0o700)
        if uid == 0:  # no task runs as root
            uid, gid = USER, GROUP
            os.chown(self.scratch, uid, gid)
        self.user = f"{uid}:{gid}"

    def listen(self) -> socket.socket:
        """Return a socket on which the worker is waited for."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        folder = os.open(self.sockets, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # The path of a socket must be short, and that of the folder need not be.
            name = f"/proc/self/fd/{folder}/{SOCKET}"
            listening.bind(name)
            os.chmod(name, 0o666)  # nobody else gets as far as the folder
            listening.listen(1)
        except BaseException:
            listening.close()
            raise
        finally:
            os.close(folder)
        return listening

    def stop_listening(self, listening: socket.socket) -> None:
        """Have nobody else come: a task is no worker."""
        listening.close()
        with suppress(OSError):
            os.unlink(os.path.join(self.sockets, SOCKET))

    def empty_scratch(self) -> bool:
        """Remove what a task left; tell whether the folder is as good as new.

        A process that is left in the container may exchange folders for links meanwhile,
        so none is followed, and nothing is done about what cannot be removed at once.
        """
        if not is_empty(self.scratch):
            with suppress(OSError):
                _empty(self.scratch)
        return is_empty(self.scratch)

    def remove(self) -> None:
        """Remove all, once the container is gone."""
        remove_folder(self._path)


class SharedFolders:
    """The folders of an executor's containers.

    Args:
        root: Where they are, nobody else's; empty for a temporary folder.
        environ: Environment of the platform.
    """

    def __init__(self, root: str, environ: Mapping[str, str]) -> None:
        self._given = root
        self._root = root
        self._temporary = environ.get("TMPDIR") or tempfile.gettempdir()
        # A container of a platform that was killed may have its own for a moment.
        self._prefix = os.urandom(4).hex()
        self._numbers = itertools.count(1)

    def make(self) -> SharedFolder:
        """Return a new folder."""
        if not self._root:
            self._root = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=self._temporary)
        return SharedFolder(os.path.join(self._root, f"{self._prefix}-{next(self._numbers)}"))

    def remove_forsaken(self) -> None:
        """Remove temporary folders of this user's platforms that are gone."""
        with suppress(OSError):
            for entry in list(os.scandir(self._temporary)):
                pid = entry.name.removeprefix(_PREFIX).partition("-")[0]
                if not entry.name.startswith(_PREFIX) or not pid.isdecimal():
                    continue
                own = entry.stat(follow_symlinks=False).st_uid == os.geteuid()
                if own and not os.path.exists(f"/proc/{pid}"):
                    remove_folder(entry.path)

    def close(self) -> None:
        """Remove a temporary root with all that is in it."""
        if self._root != self._given:
            remove_folder(self._root)
            self._root = self._given


def _empty(folder: str) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for entry in list(os.scandir(opened)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.name, ignore_errors=True, dir_fd=opened)
            else:
                os.unlink(entry.name, dir_fd=opened)
    finally:
        os.close(opened)

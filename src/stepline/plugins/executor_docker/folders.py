"""Folders that the platform shares with containers: one for each container.

In each are the folder of a socket and those of tasks, which are mounted; what is above
them is the platform's alone.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from stepline.workers.inside import GROUP, USER
from stepline.workers.shared import SharedFolder

SOCKET = "worker.sock"


class ContainerFolder(SharedFolder):
    """What one container and the platform share.

    Args:
        path: Where it is; made here.

    Attributes:
        sockets: Folder of the worker's socket.
        user: ``uid:gid`` that a container which can use them runs as.
    """

    def __init__(self, path: str) -> None:
        uid, gid = os.geteuid(), os.getegid()
        super().__init__(path, for_user=uid == 0)
        self.user = f"{USER}:{GROUP}" if uid == 0 else f"{uid}:{gid}"  # no task runs as root
        self.sockets = os.path.join(path, "socket")
        os.mkdir(self.sockets)
        os.chmod(self.sockets, 0o755)

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

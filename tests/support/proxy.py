"""A way to a service that breaks, as networks do."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time

_CHUNK_BYTES = 65536


class CuttingProxy:
    """Passes bytes on between clients and a service, and cuts connections off.

    Args:
        port: Port of the service on this machine.
        after: Bytes after which a connection is cut, in each direction.
        cuts: How many connections are cut; later ones are left alone.
        pause_s: How long each part of an answer takes, seconds.
    """

    def __init__(
        self, port: int, *, after: int = sys.maxsize, cuts: int = 0, pause_s: float = 0.0
    ) -> None:
        self._port = port
        self._after = after
        self._left = cuts
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.cuts = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._port)) as service:
            answers = (service, client, self._pause_s)
            back = threading.Thread(target=self._pass_on, args=answers, daemon=True)
            back.start()
            self._pass_on(client, service, 0.0)
            back.join()

    def _pass_on(self, source: socket.socket, target: socket.socket, pause_s: float) -> None:
        count = 0
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                count += len(data)
                if count > self._after and self._may_cut():
                    break
                time.sleep(pause_s)
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _may_cut(self) -> bool:
        with self._lock:
            if not self._left:
                return False
            self._left -= 1
            self.cuts += 1
            return True

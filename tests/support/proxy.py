"""A way to a service that breaks, as networks do."""

from __future__ import annotations

import contextlib
import socket
import threading

_CHUNK_BYTES = 65536


class CuttingProxy:
    """Passes bytes on between clients and a service, and cuts connections off.

    Args:
        port: Port of the service on this machine.
        after: Bytes after which a connection is cut, in each direction.
        cuts: How many connections are cut; later ones are left alone.
    """

    def __init__(self, port: int, *, after: int, cuts: int) -> None:
        self._port = port
        self._after = after
        self._left = cuts
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
            back = threading.Thread(target=self._pass_on, args=(service, client), daemon=True)
            back.start()
            self._pass_on(client, service)
            back.join()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        count = 0
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                count += len(data)
                if count > self._after and self._may_cut():
                    break
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

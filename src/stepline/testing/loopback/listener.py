"""HTTP on a loopback port: bytes to `Request`, `Reply` to bytes.

Clients come directly, or through an HTTP proxy setting and then with absolute URLs. A
request that is meant for another host is named ``Elsewhere``; nothing is ever handed on.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import sys
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import urlsplit

from stepline.testing.loopback.messages import (
    CutError,
    RefusedError,
    Reply,
    Request,
    error_reply,
)

MAX_BODY = 256 * 2**20  # bytes
ELSEWHERE = "Elsewhere"

_OWN_HOSTS = frozenset({None, "localhost", "127.0.0.1"})  # None: no absolute URL
_NO_BODY = frozenset({204, 304})  # statuses whose answers end with the headers
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Service(Protocol):
    """What a listener serves; every method is called from several threads."""

    def name(self, request: Request) -> str:
        """Return the operation of a request whose body was not read yet."""

    def cut_after(self, request: Request) -> int | None:
        """Return after how many bytes of its body a request is cut; None: it is not."""

    def handle(self, request: Request) -> Reply:
        """Return the answer to a request that was read to its end.

        Raises:
            CutError: There is none; the connection ends.
        """


class Listener(ThreadingHTTPServer):
    """Serves on 127.0.0.1, a thread per connection.

    Args:
        port: TCP port; 0 takes a free one.
        service: Answers the requests.
        max_body: Largest body taken, in bytes; a larger one is refused unread.
    """

    daemon_threads = True
    request_queue_size = 64  # clients that connect all at once are not turned away

    def __init__(self, port: int, service: Service, *, max_body: int = MAX_BODY) -> None:
        self.service = service
        self.max_body = max_body
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Bind without the look-up of a full host name, slow where there is no resolver."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about clients that went away; show all else."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """Return the address, without a final slash."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120  # seconds that a silent connection is kept
    disable_nagle_algorithm = True
    server: Listener

    def _serve(self) -> None:
        try:
            request = self._head()
            reply = self.server.service.handle(replace(request, data=self._body_of(request)))
        except RefusedError as refused:
            # What is left of the body would be taken for the next request.
            self.close_connection = True
            reply = error_reply(refused.status, refused.message)
        except CutError:
            self._cut()
            return
        self._send(reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_CONNECT = _serve

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the record has it all."""

    def _head(self) -> Request:
        target = urlsplit(self.path if self.command != "CONNECT" else f"//{self.path}")
        request = Request(
            method=self.command,
            path=target.path,
            query=target.query,
            headers={name.lower(): value for name, value in self.headers.items()},
            base=self._base(target.scheme, target.netloc),
        )
        if target.hostname not in _OWN_HOSTS:
            return replace(request, operation=ELSEWHERE, path=f"{target.hostname}{target.path}")
        return replace(request, operation=self.server.service.name(request))

    def _base(self, scheme: str, netloc: str) -> str:
        if scheme and netloc:
            return f"{scheme}://{netloc}"
        return f"http://{self.headers.get('Host') or self.server.url.removeprefix('http://')}"

    def _body_of(self, request: Request) -> bytes:
        limit = self.server.service.cut_after(request)
        if limit is None:
            return self._body()
        self.rfile.read(min(limit, self._length()))
        raise CutError

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        return self._read(self._length())

    def _length(self) -> int:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > self.server.max_body:
            most = self.server.max_body
            raise RefusedError(400, f"no usable Content-Length: {length}; at most {most} bytes")
        return int(length)

    def _chunks(self) -> bytes:
        # Clients send in chunks what they do not know the length of, also an empty file.
        body = bytearray()
        while size := self._chunk_size():
            if len(body) + size > self.server.max_body:
                raise RefusedError(400, f"at most {self.server.max_body} bytes are taken")
            body += self._read(size)
            self._read(2)
        while self.rfile.readline(4096).strip():
            pass
        return bytes(body)

    def _chunk_size(self) -> int:
        line = self.rfile.readline(4096).split(b";")[0].strip()
        try:
            return int(line, 16)
        except ValueError:
            raise RefusedError(400, "a chunk without its size") from None

    def _read(self, length: int) -> bytes:
        data = self.rfile.read(length)
        if len(data) < length:
            raise RefusedError(400, "the connection ended before the body did")
        return data

    def _cut(self) -> None:
        self.close_connection = True
        # A reset cannot be taken for the end of an answer, whatever was sent before.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.connection.close()

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status not in _NO_BODY and not _tells_length(self.command, reply):
            self.send_header("Content-Length", str(len(reply.data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.data)


def _tells_length(method: str, reply: Reply) -> bool:
    """Tell whether the answer to a HEAD says by itself how long the body would be."""
    return method == "HEAD" and any(name.lower() == "content-length" for name in reply.headers)

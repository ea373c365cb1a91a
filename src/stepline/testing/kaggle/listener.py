"""HTTP on a loopback port: bytes to `Request`, `Reply` to bytes.

The 2.2 line of the client can be moved to ``http://localhost`` only, port 80, so it comes
through an HTTP proxy setting and sends absolute URLs; the 1.6 line comes directly.
"""

from __future__ import annotations

import base64
import binascii
import json
import socketserver
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from stepline.testing.kaggle.wire import Reply, Request, error_reply, identify

MAX_BODY = 256 * 2**20  # bytes
_OWN_HOSTS = frozenset({None, "localhost", "127.0.0.1"})  # None: no absolute URL

Authorise = Callable[[str | None, str], bool]


class BadRequestError(Exception):
    """The request cannot be read; the message goes back with HTTP 400."""


class Listener(ThreadingHTTPServer):
    """Serves on 127.0.0.1, a thread per connection.

    Args:
        port: TCP port; 0 takes a free one.
        handle: Gives the answer to a request; called from several threads.
        authorise: Says whether a user name (None for a bearer token) and its key are good.
    """

    daemon_threads = True

    def __init__(
        self, port: int, *, handle: Callable[[Request], Reply], authorise: Authorise
    ) -> None:
        self.handle = handle
        self.authorise = authorise
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
    timeout = 60  # seconds that a silent connection is kept
    server: Listener

    def _serve(self) -> None:
        try:
            reply = self.server.handle(self._request())
        except BadRequestError as bad:
            self.close_connection = True
            reply = error_reply(400, str(bad))
        self._send(reply)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_CONNECT = _serve

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the record has it all."""

    def _request(self) -> Request:
        target = urlsplit(self.path if self.command != "CONNECT" else f"//{self.path}")
        data = self._body()
        user, key = _credentials(self.headers.get("Authorization", ""))
        operation, line, parameters = identify(self.command, target.path)
        path = target.path
        if target.hostname not in _OWN_HOSTS:
            operation, path, parameters = "Elsewhere", f"{target.hostname}{path}", {}
        elif line:
            parameters |= dict(parse_qsl(target.query)) | _said(operation, line=line, data=data)
        return Request(
            operation=operation,
            line=line,
            method=self.command,
            base=self._base(target.scheme, target.netloc),
            path=path,
            parameters=parameters,
            user=user,
            authorised=key is not None and self.server.authorise(user, key),
            data=data,
            content_range=self.headers.get("Content-Range", ""),
        )

    def _base(self, scheme: str, netloc: str) -> str:
        if scheme and netloc:
            return f"{scheme}://{netloc}"
        return f"http://{self.headers.get('Host') or self.server.url.removeprefix('http://')}"

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            raise BadRequestError(f"no usable Content-Length: {length}; at most {MAX_BODY} bytes")
        return self._read(int(length))

    def _chunks(self) -> bytes:
        # Clients send an empty file in chunks, as they take its length for unknown.
        body = bytearray()
        while size := self._chunk_size():
            if len(body) + size > MAX_BODY:
                raise BadRequestError(f"at most {MAX_BODY} bytes are taken")
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
            raise BadRequestError("a chunk without its size") from None

    def _read(self, length: int) -> bytes:
        data = self.rfile.read(length)
        if len(data) < length:
            raise BadRequestError("the connection ended before the body did")
        return data

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.data)


def _credentials(header: str) -> tuple[str | None, str | None]:
    """Return user name and key; no user for a bearer token, no key for no credentials."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer" and value:
        return None, value
    if scheme.lower() != "basic":
        return None, None
    try:
        user, _, key = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None, None
    return user, key


def _said(operation: str, *, line: str, data: bytes) -> dict[str, Any]:
    """Return the JSON body in the form of the 2.2 line."""
    if not data:
        return {}
    try:
        said = json.loads(data)
    except ValueError:
        raise BadRequestError("the body is not JSON") from None
    if not isinstance(said, dict):
        raise BadRequestError("the body is not a JSON object")
    # The 1.6 line names the dataset in the path and sends what 2.2 has under "body".
    return {"body": said} if (operation, line) == ("CreateDatasetVersion", "1.6") else said

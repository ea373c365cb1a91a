"""A package index on loopback that wants a password."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def private_index(wheel: Path, *, password: str) -> Iterator[str]:
    """Serve a wheel to who has the password; give the address with it."""
    wanted = "Basic " + base64.b64encode(f"someone:{password}".encode()).decode()
    name = wheel.name.partition("-")[0]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = f'<a href="/{wheel.name}">{wheel.name}</a>'.encode()
            pages = {f"/simple/{name}/": page, f"/{wheel.name}": wheel.read_bytes()}
            known = self.headers.get("Authorization") == wanted
            body = pages.get(self.path, b"") if known else b""
            self.send_response(200 if body else 404 if known else 401)
            self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://someone:{password}@127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()

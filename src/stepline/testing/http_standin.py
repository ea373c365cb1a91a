"""A loopback stand-in for an HTTP endpoint that takes pushes, as ours send them.

Use it in a test::

    with HttpStandIn(signing_secret="not-a-real-secret") as endpoint:
        ...  # push to f"{endpoint.url}/plates"
        [version] = endpoint.versions["/plates"]

or as a process: ``python -m stepline.testing.http_standin --record FOLDER``. Any path takes a
POST, which adds a version, or a PUT, which replaces the file that the path is. It listens on
127.0.0.1 only.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, unquote

from stepline.testing.http import wire
from stepline.testing.http.state import HttpFile, HttpState, HttpVersion
from stepline.testing.loopback.command import serve, standin_parser
from stepline.testing.loopback.faults import Fault
from stepline.testing.loopback.messages import RefusedError, Reply, Request, json_reply
from stepline.testing.loopback.standin import StandIn, write_whole

__all__ = ["HttpFile", "HttpStandIn", "HttpVersion", "main"]

_OPERATIONS = {"POST": "Push", "PUT": "Put", "GET": "Look"}
_VERSION = re.compile(r"(?P<path>/.*)/versions/(?P<number>\d+)/(?P<name>.+)")
_LISTED = 100


class HttpStandIn(StandIn):
    """The stand-in, serving while the ``with`` block lasts.

    Operations are ``Push`` (POST), ``Put``, ``Look`` (GET of the same address: as JSON the
    versions, else the file that was put there) and ``ReadBack`` (GET of a file of a version).

    Args:
        port: TCP port on 127.0.0.1; 0 takes a free one.
        signing_secret: Requests must be signed with it; empty: they need not be.
        token: Requests must bear it; empty: they need not.
        lists: Whether ``Look`` lists versions; else the answer to it is 405.
        readable: Whether files can be read back.
        tells_digests: Whether answers have the digests of what was received.
        faults: What goes wrong, see `stepline.testing.loopback.faults`.
        record: Folder that gets ``record.json`` and ``blobs/<sha256>``, up to date
            before each answer leaves.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        signing_secret: str = "",
        token: str = "",
        lists: bool = True,
        readable: bool = True,
        tells_digests: bool = True,
        faults: Iterable[Fault] = (),
        record: Path | None = None,
    ) -> None:
        super().__init__(port=port, faults=faults, record=record)
        self._signing_secret = signing_secret
        self._token = token
        self._lists, self._readable, self._tells_digests = lists, readable, tells_digests
        self._state = HttpState()
        self._replaced: set[str] = set()

    @property
    def versions(self) -> Mapping[str, tuple[HttpVersion, ...]]:
        """Return a snapshot of all versions by path, oldest first."""
        with self.lock:
            found = {path: tuple(each) for path, each in self._state.versions.items()}
        return MappingProxyType(found)

    def blob(self, sha256: str) -> bytes:
        """Return bytes that were received.

        Raises:
            KeyError: Nothing with that digest was.
        """
        with self.lock:
            return self._state.blobs[sha256]

    def put_there(self, path: str, files: Mapping[str, bytes]) -> HttpVersion:
        """Add a version as somebody else would, and return it."""
        with self.lock:
            return self._state.add(
                path, [wire.ReceivedFile(name, data) for name, data in files.items()]
            )

    def name(self, request: Request) -> str:
        """Return the operation."""
        if request.method == "GET" and _VERSION.fullmatch(request.path):
            return "ReadBack"
        return _OPERATIONS.get(request.method, "Unknown")

    def answer(self, request: Request) -> Reply:
        """Return the endpoint's answer.

        Raises:
            RefusedError: It refuses.
        """
        self._check_sender(request)
        with self.lock:
            if request.operation in ("Push", "Put"):
                return self._received(request)
            if request.operation == "ReadBack":
                return self._read_back(request)
            if request.operation == "Look":
                return self._look(request)
        raise RefusedError(405, f"{request.method} is not known here")

    def to_plain(self) -> dict[str, Any]:
        """Return the whole record but the bytes, as ``record.json`` holds it."""
        with self.lock:
            found = {p: [asdict(v) for v in each] for p, each in self._state.versions.items()}
            return {**super().to_plain(), "versions": found}

    def save_more(self, folder: Path) -> None:
        """Write what was received, each file under its digest."""
        blobs = folder / "blobs"
        blobs.mkdir(exist_ok=True)
        for sha256, data in self._state.blobs.items():
            if not (blobs / sha256).exists():
                write_whole(blobs / sha256, data)

    def _check_sender(self, request: Request) -> None:
        _, token = request.credentials
        if self._token and not hmac.compare_digest((token or "").encode(), self._token.encode()):
            raise RefusedError(401, "the token is not good")
        if self._signing_secret:
            wire.check_signature(request, self._signing_secret, now=time.time())

    def _received(self, request: Request) -> Reply:
        wire.check_digest(request)
        key, body = wire.key_of(request), hashlib.sha256(request.data).hexdigest()
        replaces = request.operation == "Put"
        version = None if replaces else self._state.known(request.path, key, body_sha256=body)
        if version is None:
            headers = request.headers
            match, none_match = headers.get("if-match", ""), headers.get("if-none-match", "")
            self._state.check_newest(request.path, match=match, none_match=none_match)
            version = self._state.add(
                request.path,
                wire.files_of(request),
                key=key,
                content=headers.get("stepline-content", ""),
                note=wire.note_of(request),
                body_sha256=body,
            )
        if replaces:
            self._replaced.add(request.path)
        told = self._told(request.path, version)
        headers = {"ETag": f'"{version.number}"'}
        if "location" in told:
            headers["Location"] = told["location"]
        reply = json_reply(told, status=201)
        return Reply(reply.status, reply.data, {**reply.headers, **headers})

    def _look(self, request: Request) -> Reply:
        versions = self._state.versions.get(request.path, [])
        if "application/json" not in request.headers.get("accept", ""):
            return self._file_put(request.path)
        if not self._lists:
            raise RefusedError(405, "this endpoint takes POST and PUT alone")
        told = [self._told(request.path, version) for version in reversed(versions[-_LISTED:])]
        return json_reply({"versions": told})

    def _file_put(self, path: str) -> Reply:
        if not self._readable:
            raise RefusedError(405, "this endpoint takes POST and PUT alone")
        if path not in self._replaced:
            raise RefusedError(404, "there is no file")
        newest = self._state.versions[path][-1]
        data = self._state.blobs[newest.files[0].sha256]
        return Reply(200, data, {"ETag": f'"{newest.number}"'})

    def _read_back(self, request: Request) -> Reply:
        found = _VERSION.fullmatch(request.path)
        if found is None or not self._readable:
            raise RefusedError(404, "nothing can be read here")
        name = unquote(found["name"])
        data = self._state.content(found["path"], int(found["number"]), name=name)
        return Reply(200, data, {"Content-Type": "application/octet-stream"})

    def _told(self, path: str, version: HttpVersion) -> dict[str, Any]:
        told: dict[str, Any] = {
            "id": path,
            "version": version.number,
            "idempotency_key": version.key,
            "content": version.content,
            "note": version.note,
        }
        if self._tells_digests:
            told["sha256"] = version.body_sha256
        if self._readable and len(version.files) == 1:
            told["location"] = _address(path, version, version.files[0])
        elif self._readable or self._tells_digests:
            told["files"] = [self._told_file(path, version, file) for file in version.files]
        return told

    def _told_file(self, path: str, version: HttpVersion, file: HttpFile) -> dict[str, Any]:
        told: dict[str, Any] = {"name": file.name, "size": file.size}
        if self._readable:
            told["url"] = _address(path, version, file)
        if self._tells_digests:
            told["sha256"] = file.sha256
        return told


def _address(path: str, version: HttpVersion, file: HttpFile) -> str:
    return f"{path}/versions/{version.number}/{quote(file.name, safe='')}"


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT or the end of the lifetime; return the exit code."""
    parser = standin_parser("stepline.testing.http_standin", service="an HTTP endpoint")
    parser.add_argument(
        "--signing-secret-from", metavar="VARIABLE", help="environment variable that holds it"
    )
    options = parser.parse_args(argv)
    secret = os.environ[options.signing_secret_from] if options.signing_secret_from else ""
    return serve(
        HttpStandIn(port=options.port, signing_secret=secret, record=options.record), options
    )


if __name__ == "__main__":
    sys.exit(main())

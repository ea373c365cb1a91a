"""Sending bytes: of files, in ranges, and archives."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO
from urllib.parse import quote

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from stepline.app.service.service import Service
from stepline.frozen import frozen
from stepline.server.faults import Refused
from stepline.server.scratch import scratch_folder
from stepline.server.streams import from_file

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_BINARY = "application/octet-stream"


@frozen(kw_only=True)
class Content:
    """Bytes to be sent.

    Attributes:
        size: How many there are.
        etag: What tells them from others.
        name: File name that a browser gives them.
        kind: Media type.
    """

    size: int
    etag: str
    name: str
    kind: str = _BINARY


def is_known(request: Request, etag: str) -> bool:
    """Return whether the client says that it has these bytes already."""
    given = request.headers.get("if-none-match", "")
    known = [each.strip().removeprefix("W/") for each in given.split(",")]
    return f'"{etag}"' in known or known == ["*"]


def headers_of_content(content: Content) -> dict[str, str]:
    """Return the headers that go with all answers about some bytes."""
    return {
        "etag": f'"{content.etag}"',
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-disposition": f"attachment; filename*=UTF-8''{quote(content.name, safe='')}",
        # What anybody uploaded is never to be run by a browser.
        "x-content-type-options": "nosniff",
    }


def span_of(request: Request, content: Content) -> tuple[int, int] | None:
    """Return first byte and count of what a client wants; None for everything.

    A header that asks for several ranges, or that is not understood, counts as none.

    Raises:
        Refused: The range begins behind the end.
    """
    found = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if found is None or found.groups() == ("", "") or not _still_same(request, content):
        return None
    size = content.size
    if not found[1]:
        first, last = max(0, size - int(found[2])), size - 1
    else:
        first, last = int(found[1]), min(int(found[2] or size), size - 1)
        if found[2] and int(found[2]) < first:
            return None
    if first >= size:
        unmet = {"content-range": f"bytes */{size}"}
        raise Refused(
            416, f"the range begins behind the end: there are {size} bytes", headers=unmet
        )
    return first, last - first + 1


def send(request: Request, opened: Callable[[], BinaryIO], *, content: Content) -> Response:
    """Return an answer with the bytes of a file, or those of a range of it.

    Args:
        request: The request; of a HEAD, only the headers are answered.
        opened: Opens the file.
        content: What is known about the bytes.

    Raises:
        Refused: The range begins behind the end.
    """
    span = span_of(request, content)
    first, count = span or (0, content.size)
    headers = {**headers_of_content(content), "content-length": str(count)}
    if span:
        headers["content-range"] = f"bytes {first}-{first + count - 1}/{content.size}"
    status = 206 if span else 200
    if request.method == "HEAD":
        return Response(None, status, headers, media_type=content.kind)
    file = opened()
    file.seek(first)
    body = from_file(file, count=count)
    return StreamingResponse(body, status, headers, media_type=content.kind)


def send_archive(request: Request, service: Service, *, digest: str, name: str) -> Response:
    """Return an answer with the source of a digest."""
    if is_known(request, digest):
        return Response(None, 304, {"etag": f'"{digest}"'})
    with scratch_folder(service) as folder:
        target = folder / "source.zip"
        service.registry.source(digest, target)
        size = target.stat().st_size
        content = Content(size=size, etag=digest, name=f"{name}.zip", kind="application/zip")
        # Open files outlast the folder.
        return send(request, lambda: target.open("rb"), content=content)


def _still_same(request: Request, content: Content) -> bool:
    wanted = request.headers.get("if-range")
    return wanted is None or wanted == f'"{content.etag}"'

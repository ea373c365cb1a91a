"""What a push to an HTTP endpoint says: signature, digest, mark and files.

Source:
    docs/how-to/receive-pushes.md; RFC 9530 for digests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from urllib.parse import unquote

from stepline.frozen import frozen
from stepline.testing.loopback.messages import RefusedError, Request

MAX_AGE_S = 300
"""A signature is good for so many seconds, before and after."""

SIGNED_HEADERS = (
    "idempotency-key",
    "content-digest",
    "content-type",
    "content-disposition",
    "if-match",
    "if-none-match",
    "stepline-content",
    "stepline-note",
)

_SIGNATURE = re.compile(r"t=(\d+), v1=([0-9a-f]{64})")
_BOUNDARY = re.compile(r'multipart/form-data;\s*boundary="?([^";]+)"?')
_ALONE = re.compile(r"filename\*=UTF-8''([^;]+)")
_PART = re.compile(r'filename="([^"]*)"')


@frozen
class ReceivedFile:
    """A file of a request; `name` has folders, parted by ``/``."""

    name: str
    data: bytes


def check_signature(request: Request, secret: str, *, now: float) -> None:
    """Refuse a request that the holder of the secret did not just send.

    Args:
        request: The request, read to its end.
        secret: The secret of both ends.
        now: Seconds since 1970.

    Raises:
        RefusedError: 401; the signature is missing, old, or another one.
    """
    found = _SIGNATURE.fullmatch(request.headers.get("stepline-signature", ""))
    if found is None:
        raise RefusedError(401, "the request is not signed")
    if abs(now - int(found[1])) > MAX_AGE_S:
        raise RefusedError(401, "the signature is too old, or a clock is wrong")
    query = f"?{request.query}" if request.query else ""
    values = [request.headers.get(name, "") for name in SIGNED_HEADERS]
    text = "\n".join([found[1], f"{request.method} {request.path}{query}", *values])
    proper = hmac.digest(secret.encode(), text.encode(), "sha256").hex()
    if not hmac.compare_digest(proper, found[2]):
        raise RefusedError(401, "the signature does not fit")


def check_digest(request: Request) -> None:
    """Refuse a body that is not the one that was sent.

    Raises:
        RefusedError: 400; it has another digest, or the request tells none.
    """
    digest = base64.b64encode(hashlib.sha256(request.data).digest()).decode()
    if request.headers.get("content-digest") != f"sha-256=:{digest}:":
        raise RefusedError(400, "the body does not have the digest that Content-Digest tells")


def key_of(request: Request) -> str:
    """Return the idempotency key.

    Raises:
        RefusedError: 400; there is none.
    """
    key = request.headers.get("idempotency-key", "").strip('"')
    if not key:
        raise RefusedError(400, "the request has no Idempotency-Key")
    return key


def note_of(request: Request) -> str:
    """Return what the user says of the version; empty for nothing."""
    return unquote(request.headers.get("stepline-note", ""))


def files_of(request: Request) -> list[ReceivedFile]:
    """Return the files of a request: its body, or the parts of it.

    Raises:
        RefusedError: 400; a file has no name.
    """
    boundary = _BOUNDARY.fullmatch(request.headers.get("content-type", ""))
    if boundary is None:
        name = _ALONE.search(request.headers.get("content-disposition", ""))
        return [ReceivedFile(_named(unquote(name[1]) if name else ""), request.data)]
    parts = request.data.split(f"--{boundary[1]}".encode())[1:-1]
    return [_file_of(part) for part in parts]


def _file_of(part: bytes) -> ReceivedFile:
    head, _, data = part.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n")
    name = _PART.search(head.decode("utf-8", "replace"))
    return ReceivedFile(_named(name[1].replace("%22", '"') if name else ""), data)


def _named(name: str) -> str:
    if not name:
        raise RefusedError(400, "a file has no name")
    return name

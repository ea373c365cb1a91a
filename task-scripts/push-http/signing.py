"""Signatures of requests, by which an endpoint knows who sent what, and when."""

import base64
import hmac
import time
from collections.abc import Mapping

SIGNED_HEADERS = (
    "Idempotency-Key",
    "Content-Digest",
    "Content-Type",
    "Content-Disposition",
    "If-Match",
    "If-None-Match",
    "Stepline-Content",
    "Stepline-Note",
)


def signed_text(moment: int, method: str, target: str, headers: Mapping[str, str]) -> str:
    """Return what is signed of a request.

    Args:
        moment: Seconds since 1970.
        method: HTTP method, in upper case.
        target: Path and query, as they are sent.
        headers: All headers; a missing one counts as empty.
    """
    values = [headers.get(name, "") for name in SIGNED_HEADERS]
    return "\n".join([str(moment), f"{method} {target}", *values])


def signature(secret: str, method: str, target: str, *, headers: Mapping[str, str]) -> str:
    """Return the header ``Stepline-Signature`` of a request that is sent now."""
    moment = int(time.time())
    text = signed_text(moment, method, target, headers)
    return f"t={moment}, v1={hmac.digest(secret.encode(), text.encode(), 'sha256').hex()}"


def content_digest(sha256: str) -> str:
    """Return the header ``Content-Digest`` of a body, as RFC 9530 has it."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def digest_in(header: str) -> str:
    """Return the SHA-256, in hex digits, that such a header holds; empty where it has none."""
    for member in header.split(","):
        name, _, value = member.strip().partition("=")
        if name.lower() == "sha-256" and value.startswith(":") and value.endswith(":"):
            return _hex(value[1:-1])
    return ""


def _hex(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).hex()
    except ValueError:
        return ""

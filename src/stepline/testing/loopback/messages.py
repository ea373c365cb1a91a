"""Requests and replies as values, and the errors that become replies."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any
from urllib.parse import parse_qsl

from stepline.frozen import frozen

# The names that clients print beside the message; any other status gets the last one.
_ERROR_CODES = {
    400: "INVALID_PARAMETER_VALUE",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_ALREADY_EXISTS",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
}
_OTHER_ERROR = "INTERNAL_ERROR"


class RefusedError(Exception):
    """A service answers with an HTTP error.

    Args:
        status: HTTP status.
        message: The service's words.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class CutError(Exception):
    """The connection ends here, without an answer."""


@frozen(kw_only=True)
class Request:
    """One request, read to its end.

    Attributes:
        method: HTTP method, in upper case.
        path: Path without host and query, quoted as it was sent.
        query: Query without the question mark, quoted as it was sent.
        headers: Values by header name in lower case; of a repeated header, the last.
        data: The body's bytes.
        base: Scheme and host by which the client reaches the stand-in.
        operation: Name by which faults and records call it; ``Elsewhere`` for a request
            that was meant for another host.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    data: bytes = field(default=b"", repr=False)
    base: str = ""
    operation: str = ""

    @property
    def arguments(self) -> dict[str, str]:
        """Return the query as names and values, unquoted; of a repeated name, the last."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def credentials(self) -> tuple[str | None, str | None]:
        """Return user name and key.

        The user is None for a bearer token, and the key is None where there are no
        credentials at all.
        """
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and value:
            return None, value
        if scheme.lower() != "basic":
            return None, None
        try:
            user, _, key = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None, None
        return user, key

    def json_object(self) -> dict[str, Any]:
        """Return the body, a JSON object; of no body, an empty one.

        Raises:
            RefusedError: 400; the body is anything else.
        """
        if not self.data:
            return {}
        try:
            said = json.loads(self.data)
        except ValueError:
            raise RefusedError(400, "the body is not JSON") from None
        if not isinstance(said, dict):
            raise RefusedError(400, "the body is not a JSON object")
        return said


@frozen
class Reply:
    """One answer; `status` is the HTTP status."""

    status: int
    data: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(content: Any, *, status: int = 200) -> Reply:
    """Return an answer with a JSON body."""
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


def error_reply(status: int, message: str) -> Reply:
    """Return an error that says `message` in each form that a platform's client prints."""
    code = _ERROR_CODES.get(status, _OTHER_ERROR)
    reply = json_reply(
        {"code": status, "message": message, "error": message, "error_code": code}, status=status
    )
    # A header holds Latin-1 in one line; the body has the full words.
    line = " ".join(message.split()).encode("latin-1", "replace").decode("latin-1")
    return Reply(status, reply.data, {**reply.headers, "X-Error-Message": line})

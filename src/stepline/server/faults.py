"""Errors as answers: one table, one form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException

from stepline.app.archive_entries import ArchiveTooLarge
from stepline.app.artifact_names import ForeignNamespace
from stepline.errors import (
    ArtifactNotFound,
    PlatformError,
    SecretNotFound,
    SteplineError,
    UserError,
    VersionExists,
)
from stepline.ports.files import FileConflict
from stepline.ports.uploads import UnknownUpload, UploadInUse, WrongOffset

RETRY_AFTER_S = 2

# The first that fits counts.
STATUSES: tuple[tuple[type[SteplineError], int], ...] = (
    (ForeignNamespace, 403),
    (ArtifactNotFound, 404),
    (SecretNotFound, 404),
    (UnknownUpload, 404),
    (VersionExists, 409),
    (FileConflict, 409),
    (WrongOffset, 409),
    (ArchiveTooLarge, 413),
    (UploadInUse, 423),
    (UserError, 422),
    (PlatformError, 503),
)


class Refused(HTTPException):
    """A request that is refused before any use case sees it.

    Args:
        status: Status code.
        message: Why, for people.
        headers: Further headers of the answer.
    """

    def __init__(
        self, status: int, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, message, dict(headers or {}))


def status_of(error: SteplineError) -> int | None:
    """Return the status of an error of ours; None for one that is a fault of the service."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), None)


def headers_of(error: SteplineError) -> dict[str, str]:
    """Return the headers that tell a program what to do about an error."""
    if isinstance(error, WrongOffset):
        return {"Upload-Offset": str(error.offset)}
    again = isinstance(error, UploadInUse) or (isinstance(error, PlatformError) and error.retryable)
    return {"Retry-After": str(RETRY_AFTER_S)} if again else {}


def body_of(
    status: int, message: str, *, problems: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return the one form of all errors."""
    body: dict[str, Any] = {
        "statusCode": status,
        "error": HTTPStatus(status).phrase,
        "message": message,
    }
    return {**body, "problems": list(problems)} if problems else body


def body_of_error(error: SteplineError, status: int) -> dict[str, Any]:
    """Return the body for an error of ours."""
    problems = error.problems if isinstance(error, UserError) else ()
    plain = [{**each.to_plain(), "path": each.source} for each in problems]
    return body_of(status, str(error), problems=plain)


def encoded(body: Mapping[str, Any]) -> bytes:
    """Return a body's bytes; what is no Unicode text in it is escaped."""
    return json.dumps(body).encode()


def validation_message(found: Sequence[Mapping[str, Any]]) -> str:
    """Return in one sentence what is wrong with a request's fields and parameters."""
    return "; ".join(dict.fromkeys(_sentence(each) for each in found))


def _sentence(fault: Mapping[str, Any]) -> str:
    place, *path = fault["loc"]
    if fault["type"] == "json_invalid":
        return f"the body is not JSON: {fault['ctx']['error']} at character {path[0]}"
    if not path:
        return "the body must be a JSON value, and there is none"
    words = {"body": "field", "query": "parameter", "path": "part", "header": "header"}
    named = f"the {words.get(place, place)} '{_joined(path)}'"
    if fault["type"] == "extra_forbidden":
        return f"{named} is not known"
    if fault["type"] == "missing":
        return f"{named} is missing"
    said = str(fault["msg"])
    return f"{named}: {said[:1].lower()}{said[1:]}"


def _joined(path: Sequence[object]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text

"""Upkeep: what nobody needs is removed, and what is kept is read to see whether it is whole.

Both may take long, so the answer comes in lines, a JSON object each, and an empty one now
and then. The last one has ``done``, or ``error`` where there was a fault after the first.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import StreamingResponse

from stepline.app.service.cleaning import Checked
from stepline.app.service.times import stored_time
from stepline.errors import PlatformError, SteplineError
from stepline.ports.freed import Freed
from stepline.server.parts import MOST, Body, TheService
from stepline.server.streams import items_of
from stepline.server.views import file_value

router = APIRouter(prefix="/v1/upkeep", tags=["upkeep"])

_BEAT_S = 5.0
_TOLD_S = 0.5
_LINES = "application/x-ndjson"

Line = Mapping[str, Any]


class CleanBody(Body):
    """What is old, and whether to remove it."""

    before: Annotated[str, Field(min_length=1)]
    dryRun: bool = False


class VerifyBody(Body):
    """File versions whose bytes to read; none for all."""

    fileIds: Annotated[list[str], Field(max_length=MOST, default_factory=list)]


@router.post("/clean")
def clean(request: Request, service: TheService, *, given: CleanBody) -> StreamingResponse:
    """Remove what nobody needs, and tell how much room that made."""
    before = _moment(given.before)
    lines = _cleaned(service.cleaning.clean(before=before, dry_run=given.dryRun))
    # So that a refusal is an answer of its own.
    return _answer(request, lines, first=next(lines))


@router.post("/verify")
def verify(
    request: Request, service: TheService, *, given: VerifyBody | None = None
) -> StreamingResponse:
    """Read stored bytes, and tell which are damaged or missing."""
    checked = service.cleaning.verify(given.fileIds if given else ())
    return _answer(request, _verified(checked), first={})


def _cleaned(items: Iterator[tuple[str, Freed | str]]) -> Iterator[Line]:
    for kind, found in items:
        if isinstance(found, Freed):
            yield {"kind": kind, "count": found.count, "bytes": found.bytes}
        else:
            yield {"kind": kind, "error": found}
    yield {"done": True}


def _verified(items: Iterator[Checked]) -> Iterator[Line]:
    count = problems = 0
    told = time.monotonic()
    for item in items:
        count += 1
        if item.problem:
            problems += 1
            yield _problem(item)
        elif time.monotonic() - told >= _TOLD_S:
            told = time.monotonic()
            yield {"checked": count}
    yield {"done": True, "checked": count, "problems": problems}


def _problem(item: Checked) -> Line:
    return {
        "problem": item.problem,
        "blob": item.blob,
        "files": [file_value(record) for record in item.users.files],
        "filesTotal": item.users.total,
        "artifacts": [
            {"type": name.kind.value, "name": str(name)} for name in item.users.artifacts
        ],
    }


def _answer(request: Request, lines: Iterator[Line], *, first: Line) -> StreamingResponse:
    return StreamingResponse(_sent(request, lines, first=first), media_type=_LINES)


async def _sent(request: Request, lines: Iterator[Line], *, first: Line) -> AsyncIterator[bytes]:
    yield _encoded(first)
    try:
        async with aclosing(items_of(lines, beat_s=_BEAT_S)) as items:
            async for line in items:
                _refuse_stopping(request)
                yield _encoded(line or {})
    except SteplineError as error:
        yield _encoded({"error": str(error)})


def _refuse_stopping(request: Request) -> None:
    if request.app.state.stopping.is_set():
        raise PlatformError("the service stops", hint="try again when it is back")


def _encoded(line: Line) -> bytes:
    return json.dumps(line).encode() + b"\n"


def _moment(text: str) -> float:
    """Return a time that somebody gave as seconds since the epoch.

    Raises:
        UserError: It is none.
    """
    return datetime.fromisoformat(stored_time(text)).timestamp()

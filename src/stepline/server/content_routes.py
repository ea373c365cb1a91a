"""The bytes of files: downloads, and links that work for a while."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from stepline.server.parts import Body, TheAccess, TheService
from stepline.server.sending import Content, headers_of_content, is_known, send

router = APIRouter(tags=["files"])

_LONGEST_S = 900
_USUAL_S = 300


class LinkBody(Body):
    """How long a link is to work, seconds."""

    ttlSec: Annotated[int, Field(ge=1, le=_LONGEST_S)] = _USUAL_S


@router.head("/v1/files/{file_id}/content", response_class=Response)
@router.get("/v1/files/{file_id}/content", response_class=Response)
def content(
    request: Request,
    service: TheService,
    *,
    file_id: str,
    expires: str = "",
    signature: str = "",
) -> Response:
    """Return a file's bytes."""
    record = service.files.get(file_id)
    digest = record.sha256 or service.store.digest(record.blob)
    found = Content(size=record.size, etag=digest, name=record.name)
    if is_known(request, digest):
        return Response(None, 304, headers_of_content(found))
    return send(request, lambda: service.store.open(record.blob), content=found)


@router.post("/v1/files/{file_id}/link")
def link(
    service: TheService, access: TheAccess, *, file_id: str, given: LinkBody | None = None
) -> dict[str, Any]:
    """Return an address at which anybody can fetch a file's bytes for a while."""
    service.files.get(file_id)
    ttl_s = given.ttlSec if given else _USUAL_S
    expires, signature = access.sign(file_id, ttl_s=ttl_s)
    path = f"/v1/files/{quote(file_id, safe='')}/content"
    return {
        "url": f"{service.options.url}{path}?expires={expires}&signature={signature}",
        "expiresAt": datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }

"""Files on their way in: in one request, or in parts that survive breaks."""

from __future__ import annotations

import io
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError
from starlette.responses import Response

from stepline.app.service.files import NewFile, check_new_file
from stepline.app.service.service import Service
from stepline.errors import UploadError
from stepline.model.file import FileRecord
from stepline.ports.uploads import DigestMismatch
from stepline.server.faults import Refused
from stepline.server.parts import OPEN_PARAMETERS, Body, TheService
from stepline.server.scratch import scratch_folder
from stepline.server.streams import in_thread, pieces, to_file
from stepline.server.views import file_value

router = APIRouter(tags=["files"])

_ONE = "/v1/uploads/{upload_id}"
_DIGEST = r"^[0-9a-fA-F]{64}$"
_FILE_ID = r"^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$|^$"
_OFFSET = "Upload-Offset"
_PARAMETERS = ("path", "sourceId", "sourceType", "sourceName", "fileId", "sha256")
_BYTES: dict[str, Any] = {"requestBody": {"content": {"application/octet-stream": {}}}}


class LabelBody(Body):
    """A label of a file."""

    name: str
    value: str


class UploadBody(Body):
    """What is known about a file that will come."""

    path: str
    sourceId: str = "upload"
    sourceType: str = "unknown"
    sourceName: str = ""
    fileId: Annotated[str, Field(pattern=_FILE_ID)] = ""
    labels: list[LabelBody] = Field(default_factory=list)
    tags: list[str] = Field(default_factory=list)
    metadata: dict[str, str] = Field(default_factory=dict)
    size: Annotated[int, Field(ge=0)] | None = None


class FinishBody(Body):
    """What the bytes must be."""

    sha256: Annotated[str, Field(pattern=_DIGEST)] | None = None


@router.post(
    "/v1/files",
    status_code=201,
    openapi_extra={
        **_BYTES,
        OPEN_PARAMETERS: True,
        "parameters": [
            {"name": name, "in": "query", "required": name == "path", "schema": {"type": "string"}}
            for name in (*_PARAMETERS, "label", "tag", "meta.KEY")
        ],
    },
)
async def store(request: Request, service: TheService) -> dict[str, Any]:
    """Take in a file in one request."""
    about, sha256 = _about_of_query(request)
    new = _new_file(about)
    check_new_file(new)
    with scratch_folder(service) as folder:
        content = folder / "content"
        await to_file(request, content)
        return await in_thread(lambda: _take_in(service, new, content=content, sha256=sha256))


@router.post("/v1/uploads", status_code=201)
def begin(service: TheService, given: UploadBody) -> dict[str, Any]:
    """Begin to send a file in parts."""
    about = given.model_dump(exclude={"size"})
    about["fileId"] = about["fileId"] or _new_id()
    check_new_file(_new_file(about))
    upload_id = service.store.uploads.begin(given.size, about)
    return {"id": upload_id, "fileId": about["fileId"], "offset": 0, "size": given.size}


@router.head(_ONE)
@router.get(_ONE)
def show(service: TheService, response: Response, *, upload_id: str) -> dict[str, Any]:
    """Return how much of an upload is here."""
    found = service.store.uploads.get(upload_id)
    response.headers[_OFFSET] = str(found.offset)
    file_id = found.about["fileId"]
    return {"id": upload_id, "fileId": file_id, "offset": found.offset, "size": found.size}


@router.patch(_ONE, status_code=204, response_class=Response, openapi_extra=_BYTES)
async def append(
    request: Request,
    service: TheService,
    *,
    upload_id: str,
    offset: Annotated[int, Header(alias=_OFFSET, ge=0)],
) -> Response:
    """Take in the next part."""
    found = await in_thread(lambda: service.store.uploads.get(upload_id))
    coming = int(request.headers.get("content-length", "0"))
    if found.size is not None and offset == found.offset and offset + coming > found.size:
        raise UploadError(
            f"the part goes beyond the {found.size} bytes that were announced",
            hint="begin an upload of the right size",
        )
    end = await _append(request, service, upload_id, offset=offset)
    return Response(None, 204, {_OFFSET: str(end)})


@router.post(_ONE + "/finish", status_code=201)
def finish(
    service: TheService, upload_id: str, *, given: FinishBody | None = None
) -> dict[str, Any]:
    """Make the file visible, and start the pipelines that it fires."""
    return file_value(_finish(service, upload_id, given.sha256 if given else None))


@router.delete(_ONE, status_code=204, response_class=Response)
def abort(service: TheService, upload_id: str) -> None:
    """Forget an upload."""
    service.store.uploads.abort(upload_id)


async def _append(request: Request, service: Service, upload_id: str, *, offset: int) -> int:
    """Hand a body over piece by piece; what came before a break is kept."""
    uploads, end, empty = service.store.uploads, offset, True
    async for piece in pieces(request):
        source = io.BytesIO(piece)
        end = await in_thread(
            lambda at=end, source=source: uploads.append(upload_id, at, source=source)  # type: ignore[misc]
        )
        empty = False
    if empty:
        end = await in_thread(lambda: uploads.append(upload_id, offset, source=io.BytesIO()))
    return end


def _take_in(
    service: Service, new: NewFile, *, content: Path, sha256: str | None
) -> dict[str, Any]:
    """Make a file of bytes that are here, and show it."""
    area = service.store.staging()
    try:
        blob = area.add(str(content), move=True)
        if sha256 is not None and sha256.lower() != blob.sha256:
            raise DigestMismatch(sha256, blob.sha256)
        area.publish()
    finally:
        area.discard()
    return file_value(service.files.add(new, blob))


def _finish(service: Service, upload_id: str, sha256: str | None) -> FileRecord:
    """Make a file of an upload; doing so again changes nothing, for its id is fixed."""
    uploads = service.store.uploads
    about = uploads.get(upload_id).about
    blob = uploads.finish(upload_id, sha256)
    record = service.files.add(_new_file(about), blob)
    uploads.abort(upload_id)
    return record


def _about_of_query(request: Request) -> tuple[dict[str, Any], str | None]:
    """Return what a query says of a file, and the digest that its bytes must have.

    Raises:
        Refused: A parameter is missing, unknown or malformed.
    """
    query = request.query_params
    given: dict[str, Any] = {
        name: value for name, value in query.items() if name not in ("label", "tag")
    }
    metadata = {name[5:]: given.pop(name) for name in list(given) if name.startswith("meta.")}
    labels = [_label(text) for text in query.getlist("label")]
    given |= {"labels": labels, "tags": query.getlist("tag"), "metadata": metadata}
    try:
        digest = FinishBody(sha256=given.pop("sha256", None)).sha256
        about = UploadBody(**given)
    except ValidationError as error:
        faults = [{**each, "loc": ("query", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(faults) from error
    return {**about.model_dump(exclude={"size"}), "fileId": about.fileId or _new_id()}, digest


def _label(text: str) -> LabelBody:
    name, equals, value = text.partition("=")
    if not equals:
        raise Refused(400, f"the parameter 'label' must be NAME=VALUE, not {text!r}")
    return LabelBody(name=name, value=value)


def _new_id() -> str:
    return str(uuid.uuid4())


def _new_file(about: Mapping[str, Any]) -> NewFile:
    return NewFile(
        path=about["path"],
        source_id=about["sourceId"],
        source_type=about["sourceType"],
        source_name=about["sourceName"],
        metadata=about["metadata"],
        tags=tuple(about["tags"]),
        labels=tuple((each["name"], each["value"]) for each in about["labels"]),
        file_id=about["fileId"],
    )

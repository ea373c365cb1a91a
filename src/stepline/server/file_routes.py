"""Files: listed, searched, labelled, deleted, explained."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from starlette.responses import Response

from stepline.server.parts import After, Limit, TheService, page_value
from stepline.server.parts import Body as Fields
from stepline.server.views import decision_values, file_value, labels_value

router = APIRouter(tags=["files"])


class LabelBody(Fields):
    """A label to add."""

    name: str
    value: str


@router.get("/v1/files")
def listed(
    service: TheService, *, prefix: str = "", after: After = 0, limit: Limit = 100
) -> dict[str, Any]:
    """Return newest versions of files, in the order of their commits."""
    page = service.files.page(prefix=prefix, after=after, limit=limit)
    return page_value(page, [file_value(record) for record in page.items])


@router.post("/v1/files/searchEql")
def search(service: TheService, payload: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
    """Return what a search finds."""
    return service.files.search(payload)


@router.get("/v1/fileinfo")
def named(
    service: TheService,
    *,
    name: str,
    disk: Annotated[list[str] | None, Query(max_length=10)] = None,
) -> dict[str, Any]:
    """Return the files that a name means: an id, a path, or where a file lay on disk."""
    page = service.files.named(name, disk=disk or ())
    return page_value(page, [file_value(record) for record in page.items])


@router.get("/v1/fileinfo/{file_id}")
def info(service: TheService, file_id: str) -> dict[str, Any]:
    """Return a file version."""
    return file_value(service.files.get(file_id))


@router.get("/v1/files/{file_id}/labels")
def labels(service: TheService, file_id: str) -> list[dict[str, Any]]:
    """Return a file's labels."""
    return labels_value(service.files.get(file_id))


@router.post("/v1/files/{file_id}/labels")
def add_labels(
    service: TheService,
    file_id: str,
    *,
    given: Annotated[list[LabelBody], Body()],
    noPropagate: bool = False,
) -> list[dict[str, Any]]:
    """Add labels, and return all that the file has."""
    pairs = [(each.name, each.value) for each in given]
    return labels_value(service.files.edit_labels(file_id, add=pairs, silent=noPropagate))


@router.delete("/v1/files/{file_id}/labels")
def remove_labels(
    service: TheService,
    file_id: str,
    *,
    number: Annotated[list[int], Query(alias="id")],
    noPropagate: bool = False,
) -> list[dict[str, Any]]:
    """Remove labels, and return those that the file still has."""
    return labels_value(service.files.edit_labels(file_id, remove=number, silent=noPropagate))


@router.delete("/v1/files/{file_id}", status_code=204, response_class=Response)
def delete(service: TheService, file_id: str) -> None:
    """Hide a file version."""
    service.files.delete(file_id)


@router.get("/v1/files/{file_id}/versions")
def versions(service: TheService, file_id: str) -> dict[str, Any]:
    """Return all versions of a file, oldest first."""
    return {"items": [file_value(record) for record in service.files.versions(file_id)]}


@router.get("/v1/files/{file_id}/provenance")
def provenance(service: TheService, file_id: str) -> dict[str, Any]:
    """Return how a file version came to be."""
    return service.workflows.provenance(file_id)


@router.get("/v1/files/{file_id}/explain")
def explain(service: TheService, file_id: str) -> dict[str, Any]:
    """Return what was decided about a file version, and why."""
    service.files.get(file_id)
    return {"items": decision_values(service, service.pipelines.explain_file(file_id))}

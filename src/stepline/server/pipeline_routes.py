"""Pipelines as the published API has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi import Body as JsonBody
from pydantic import Field
from starlette.responses import Response

from stepline.app.service.pipelines import PipelineNotFound
from stepline.app.service.service import Service
from stepline.errors import ConfigError, UserError
from stepline.model.ledger import LedgerEntry
from stepline.model.pipeline import Pipeline, PipelineSpec, PipelineStatus
from stepline.parsing.pipeline_api import api_path, spec_from_api, status_from_api
from stepline.server.faults import Refused
from stepline.server.parts import MOST, Body, Limit, TheService
from stepline.server.views import chosen_value, pipeline_value

router = APIRouter(prefix="/v1/pipeline", tags=["pipelines"])

_KIND = "PIPELINE_PROCESSING_"
_SORTED: dict[str, Callable[[Pipeline], Any]] = {
    "name": lambda each: each.spec.name,
    "createdAt": lambda each: each.created_at,
    "updatedAt": lambda each: each.updated_at,
    "priority": lambda each: each.spec.priority,
}
GivenPipeline = Annotated[dict[str, Any], JsonBody()]


class StatusBody(Body):
    """What a pipeline is to do with events."""

    status: Literal["enabled", "paused", "disabled"]


class ProcessBody(Body):
    """Files that a pipeline is to be started for."""

    fileIds: Annotated[list[str], Field(min_length=1, max_length=MOST)]


class BulkBody(Body):
    """Which files are to be processed again."""

    pipelineProcessingTypes: Annotated[
        list[
            Literal[
                "PIPELINE_PROCESSING_UNPROCESSED",
                "PIPELINE_PROCESSING_FAILED",
                "PIPELINE_PROCESSING_COMPLETED",
            ]
        ],
        Field(min_length=1),
    ]
    startDate: str = ""
    endDate: str = ""
    autoProcess: bool = True
    name: str = ""
    concurrentNumber: Annotated[int, Field(ge=1, le=1000)] = 1000


@router.post("/create", status_code=201)
def create(service: TheService, given: GivenPipeline) -> dict[str, Any]:
    """Store a new pipeline."""
    spec = _spec(given)
    if any(each.spec.name == spec.name for each in service.pipelines.all()):
        raise Refused(409, f"there is a pipeline '{spec.name}' already; update it")
    return _store(service, spec, given)


@router.post("/update/{name}")
def update(service: TheService, name: str, *, given: GivenPipeline) -> dict[str, Any]:
    """Store a new revision of a pipeline."""
    known = service.pipelines.get(name)
    spec = _spec(given)
    if spec.name != known.spec.name:
        raise UserError(
            f"the pipeline '{known.spec.name}' cannot be named '{spec.name}'",
            hint="a pipeline keeps its name; create another one",
        )
    return _store(service, spec, given)


@router.get("/search")
def search(
    service: TheService,
    *,
    size: Limit = 100,
    page: Annotated[int, Query(alias="from", ge=0, le=1_000_000)] = 0,
    pipelineStatus: Literal["all", "enabled", "paused", "disabled"] = "all",
    pipelineNameOrId: str = "",
    artifactType: Literal["protocol", "tetraflow"] = "protocol",
    protocolNamespace: str = "",
    protocolName: str = "",
    protocolSlug: str = "",
    protocolVersion: str = "",
    labelName: str = "",
    labelValue: str = "",
    sortBy: Literal["name", "createdAt", "updatedAt", "priority"] = "name",
    order: Literal["asc", "desc"] = "asc",
) -> dict[str, Any]:
    """Return pipelines, a page at a time."""
    wanted = (protocolNamespace, protocolName or protocolSlug, protocolVersion)
    word = pipelineNameOrId.lower()
    found = [
        each
        for each in service.pipelines.all()
        if artifactType == "protocol"
        and pipelineStatus in ("all", each.status.value)
        and (word in each.spec.name.lower() or word == each.id.lower())
        and _has_protocol(each, wanted)
        and _has_label(each, labelName, labelValue)
    ]
    found.sort(key=_SORTED[sortBy], reverse=order == "desc")
    start = page * size
    more = start + size < len(found)
    return {
        "size": size,
        # Published clients send this back as it is.
        "from": page + 1 if more else page,
        "hasNext": more,
        "totalCount": len(found),
        "hits": [pipeline_value(service, each) for each in found[start : start + size]],
    }


@router.get("/{name}")
def one(service: TheService, name: str) -> dict[str, Any]:
    """Return a pipeline."""
    return pipeline_value(service, service.pipelines.get(name))


@router.get("/{name}/revisions")
def revisions(service: TheService, name: str) -> dict[str, Any]:
    """Return all revisions of a pipeline, oldest first."""
    pipeline = service.pipelines.get(name)
    with service.state.read() as view:
        found = view.pipelines.revisions(pipeline.id)
    return {"items": [pipeline_value(service, each) for each in found]}


@router.get("/{name}/revisions/{number}")
def revision(service: TheService, name: str, *, number: int) -> dict[str, Any]:
    """Return one revision of a pipeline."""
    pipeline = service.pipelines.get(name)
    with service.state.read() as view:
        found = view.pipelines.revision(pipeline.id, number)
    if found is None:
        raise PipelineNotFound(f"the pipeline '{name}' has no revision {number}")
    return pipeline_value(service, found)


@router.post("/process/{name}")
def process(service: TheService, name: str, *, given: ProcessBody) -> dict[str, Any]:
    """Start a pipeline for files, whatever its trigger says."""
    pipeline = service.pipelines.get(name)
    success, error = [], []
    for file_id in dict.fromkeys(given.fileIds):
        try:
            entries = service.workflows.process(pipeline, [file_id])
        except UserError as fault:
            error.append({"fileId": file_id, "error": str(fault)})
            continue
        if entries and entries[0].workflow_id:
            success.append({"fileId": file_id, "workflowId": entries[0].workflow_id})
        else:
            error.append({"fileId": file_id, "error": _why_not(pipeline, entries)})
    return {"success": success, "error": error}


@router.post("/{name}/status", status_code=204, response_class=Response)
def set_status(service: TheService, name: str, *, given: StatusBody) -> None:
    """Enable, pause or disable a pipeline."""
    service.pipelines.set_status(name, PipelineStatus(given.status))


@router.post("/{name}/create-pipeline-bulk-processing-job")
def process_in_bulk(service: TheService, name: str, *, given: BulkBody) -> dict[str, Any]:
    """Start a pipeline again for files that match it."""
    chosen = service.workflows.reprocess(
        service.pipelines.get(name),
        kinds=frozenset(each.removeprefix(_KIND).lower() for each in given.pipelineProcessingTypes),
        since=given.startDate,
        until=given.endDate,
        dry_run=not given.autoProcess,
    )
    return chosen_value(chosen)


def _spec(given: dict[str, Any]) -> PipelineSpec:
    spec, problems = spec_from_api(given)
    if spec is None:
        raise ConfigError.of(problems)
    return spec


def _store(service: Service, spec: PipelineSpec, given: dict[str, Any]) -> dict[str, Any]:
    status = status_from_api(given["status"]) if "status" in given else None
    try:
        stored = service.pipelines.apply(spec, status=status)
    except UserError as error:
        error.problems = tuple(
            replace(each, source=api_path(each.source)) for each in error.problems
        )
        raise
    return pipeline_value(service, stored)


def _has_protocol(pipeline: Pipeline, wanted: tuple[str, str, str]) -> bool:
    name, _, version = pipeline.spec.protocol.partition(":")
    namespace, _, slug = name.partition("/")
    given = (namespace, slug, version)
    return all(not want or want == have for want, have in zip(wanted, given, strict=True))


def _has_label(pipeline: Pipeline, name: str, value: str) -> bool:
    pairs = pipeline.spec.labels.items()
    return (not name and not value) or any(
        name in ("", each) and value in ("", held) for each, held in pairs
    )


def _why_not(pipeline: Pipeline, entries: list[LedgerEntry]) -> str:
    if entries:
        return entries[0].reason
    return f"the pipeline is {pipeline.status.value}"

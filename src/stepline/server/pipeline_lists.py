"""Pipelines as the command line sets them: by name, from files."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from stepline.app.service.service import Service
from stepline.errors import ConfigError, UserError
from stepline.model.pipeline import PipelineSpec
from stepline.parsing.pipeline_api import spec_to_api
from stepline.parsing.pipelines import PipelineFile, read_pipeline
from stepline.parsing.source import decode_source
from stepline.server.parts import MOST, Body, Limit, TheService
from stepline.server.streams import in_thread, text_of
from stepline.server.views import chosen_value, decision_values, file_value, pipeline_value

router = APIRouter(prefix="/v1/pipelines", tags=["pipelines"])

_TEXTS: dict[str, Any] = {
    "requestBody": {"content": {"application/yaml": {}, "application/json": {}}}
}


class ReprocessBody(Body):
    """Which files are to be processed again."""

    kinds: Annotated[list[Literal["unprocessed", "failed", "completed"]], Field(min_length=1)]
    since: str = ""
    until: str = ""
    dryRun: bool = False


@router.put("", openapi_extra=_TEXTS)
async def apply(
    request: Request, service: TheService, *, file: str = "", plan: bool = False
) -> dict[str, Any]:
    """Store a pipeline from its file, or show what it would do with stored files."""
    text = await text_of(request)
    is_json = "json" in request.headers.get("content-type", "")
    path = file or ("pipeline.json" if is_json else "pipeline.yml")
    return await in_thread(lambda: _apply(service, text, path=path, plan=plan))


@router.get("")
def listed(service: TheService) -> dict[str, Any]:
    """Return all pipelines, by name."""
    found = [pipeline_value(service, each) for each in service.pipelines.all()]
    return {"items": found, "total": len(found), "after": 0}


@router.delete("/{name}", status_code=204, response_class=Response)
def delete(service: TheService, name: str) -> None:
    """Remove a pipeline; its workflows stay."""
    service.pipelines.delete(name)


@router.post("/{name}/reprocess")
def reprocess(service: TheService, name: str, *, given: ReprocessBody) -> dict[str, Any]:
    """Start a pipeline again for files that match it."""
    chosen = service.workflows.reprocess(
        service.pipelines.get(name),
        kinds=frozenset(given.kinds),
        since=given.since,
        until=given.until,
        dry_run=given.dryRun,
    )
    return chosen_value(chosen)


@router.get("/{name}/explain")
def explain(service: TheService, name: str, *, limit: Limit = 100) -> dict[str, Any]:
    """Return what was decided for a pipeline, and why."""
    entries = service.pipelines.explain(name, limit=limit)
    return {"items": decision_values(service, entries)}


def _apply(service: Service, content: bytes, *, path: str, plan: bool) -> dict[str, Any]:
    text, problem = decode_source(content, path=path)
    if problem is not None:
        raise ConfigError.of([problem])
    file = read_pipeline(text, path=path)
    spec = file.parsed.value
    if spec is None:
        found = service.pipelines.problems(file.draft) if file.draft else ()
        raise ConfigError.of(file.with_problems(found))
    try:
        if plan:
            return _plan(service, spec)
        return pipeline_value(service, service.pipelines.apply(spec))
    except UserError as error:
        _place(error, file)
        raise


def _place(error: UserError, file: PipelineFile) -> None:
    """Let an error name the places in the file that its problems are about."""
    if error.problems:
        error.problems = file.with_problems(error.problems)
        error.where = ConfigError.of(error.problems).where


def _plan(service: Service, spec: PipelineSpec) -> dict[str, Any]:
    service.pipelines.check(spec)
    found = [
        {
            "file": file_value(each.record),
            "decision": each.decision.value,
            "reason": each.reason,
        }
        for each in service.pipelines.would_fire(spec, limit=MOST)
    ]
    pipeline = spec_to_api(spec, org=service.options.org)
    return {"pipeline": pipeline, "wouldFire": found, "total": len(found)}

"""Workflows: shown, followed, cancelled, retried."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request

from stepline.app.service.service import Service
from stepline.app.service.workflows import WorkflowNotFound
from stepline.errors import UserError
from stepline.model.workflow import WorkflowStatus
from stepline.ports.state import StoredWorkflow
from stepline.server.parts import After, Body, Limit, TheService
from stepline.server.streams import in_thread
from stepline.server.views import (
    details_value,
    log_value,
    pins_value,
    protocol_of,
    workflow_value,
)

router = APIRouter(prefix="/v1/workflow", tags=["workflows"])

_DEEPEST = 10_000
_LONGEST_WAIT_S = 20.0
_LOOK_S = 0.1
_Filter = Literal["all", "pending", "in-progress", "completed", "failed", "cancelled"]


class CancelBody(Body):
    """Why a workflow is cancelled."""

    reason: str = ""


@router.get("/search")
def search(
    service: TheService,
    *,
    size: Limit = 10,
    page: Annotated[int, Query(alias="from", ge=0)] = 0,
    status: Annotated[_Filter, Query(alias="filter")] = "all",
    pipelineId: str = "",
    startTime: str = "",
    endTime: str = "",
    after: After = 0,
) -> dict[str, Any]:
    """Return workflows newest first, a page at a time."""
    if page * size > _DEEPEST:
        raise UserError(f"pages end at {_DEEPEST} workflows", hint="go on with 'after'")
    found = service.workflows.page(
        pipeline_id=service.pipelines.get(pipelineId).id if pipelineId else "",
        statuses=() if status == "all" else (WorkflowStatus(status),),
        since=startTime,
        until=endTime,
        before=after,
        limit=size * (page + 1),
    )
    hits = [workflow_value(service, each) for each in found.items[size * page :]]
    more = bool(found.after)
    return {
        "size": size,
        "from": page + 1 if more else page,
        "hasNext": more,
        "totalCount": found.total,
        "after": found.after,
        "hits": hits,
    }


@router.get("/statusByPipeline")
def status_by_pipeline(service: TheService) -> dict[str, Any]:
    """Return how many workflows of each pipeline wait and run."""

    def count(pipeline_id: str, status: WorkflowStatus) -> int:
        return service.workflows.page(pipeline_id=pipeline_id, statuses=(status,), limit=1).total

    return {
        "results": [
            {
                "pipelineId": each.id,
                "statusCounts": {
                    "pending": count(each.id, WorkflowStatus.PENDING),
                    "processing": count(each.id, WorkflowStatus.IN_PROGRESS),
                },
            }
            for each in service.pipelines.all()
        ]
    }


@router.get("/{workflow_id}")
def one(service: TheService, workflow_id: str) -> dict[str, Any]:
    """Return all of a workflow."""
    return details_value(service, service.workflows.details(workflow_id))


@router.post("/{workflow_id}/cancel")
def cancel(
    service: TheService, workflow_id: str, *, given: CancelBody | None = None
) -> dict[str, Any]:
    """End a workflow."""
    service.workflows.cancel(workflow_id, reason=given.reason if given else "")
    return one(service, workflow_id)


@router.post("/{workflow_id}/retry")
def retry(service: TheService, workflow_id: str) -> dict[str, Any]:
    """Let a workflow go on from the step that ended it."""
    service.workflows.retry(workflow_id)
    return one(service, workflow_id)


@router.get("/{workflow_id}/pins")
def pins(service: TheService, workflow_id: str) -> dict[str, Any]:
    """Return what a replay needs."""
    return pins_value(service, service.workflows.get(workflow_id))


@router.get("/{workflow_id}/log")
async def log(
    request: Request,
    service: TheService,
    *,
    workflow_id: str,
    step: str = "",
    attempt: Annotated[int, Query(ge=0)] = 0,
    after: After = 0,
    limit: Limit = 1000,
    wait: Annotated[float, Query(ge=0, le=_LONGEST_WAIT_S)] = 0.0,
) -> dict[str, Any]:
    """Return part of an attempt's log; no thread waits for lines to come."""
    until = time.monotonic() + wait
    while True:
        found = await in_thread(
            lambda: _log(service, workflow_id, step=step, attempt=attempt, after=after, limit=limit)
        )
        stopping = request.app.state.stopping.is_set() or await request.is_disconnected()
        ended = found["complete"] or WorkflowStatus(found["workflowStatus"]).final
        if found["lines"] or ended or stopping or time.monotonic() >= until:
            return found
        await asyncio.sleep(_LOOK_S)


def _log(
    service: Service, workflow_id: str, *, step: str, attempt: int, after: int, limit: int
) -> dict[str, Any]:
    # Its status first: one that has ended has all of its lines.
    stored = service.workflows.get(workflow_id)
    index = _step_index(service, stored, step)
    number = attempt or max(1, int(stored.state["steps"][index]["attempt"]))
    page = service.workflows.log(workflow_id, step=index, attempt=number, after=after, limit=limit)
    status = stored.status.value
    return {"step": index, "attempt": number, **log_value(page), "workflowStatus": status}


def _step_index(service: Service, stored: StoredWorkflow, step: str) -> int:
    """Return the index of the step that a client means.

    Raises:
        WorkflowNotFound: There is no such step.
    """
    steps = stored.state["steps"]
    if not step:
        begun = [index for index, state in enumerate(steps) if state["attempt"]]
        return begun[-1] if begun else 0
    if step.isascii() and step.isdigit() and int(step[:9]) < len(steps):
        return int(step[:9])
    protocol = protocol_of(service, stored)
    ids = [each.id for each in protocol.steps] if protocol else []
    if step not in ids:
        raise WorkflowNotFound(f"the workflow has no step '{step}'")
    return ids.index(step)

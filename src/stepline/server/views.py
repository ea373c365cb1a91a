"""What the service has, in the shapes of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stepline.app.file_views import file_info, input_file_value
from stepline.app.service.service import Service
from stepline.app.service.workflows import WorkflowDetails
from stepline.errors import SteplineError
from stepline.model.file import FileRecord
from stepline.model.ledger import LedgerEntry
from stepline.model.pipeline import Pipeline
from stepline.model.protocol import Protocol
from stepline.model.workflow import StepStatus
from stepline.parsing.pipeline_api import pipeline_to_api, spec_to_api
from stepline.ports.logs import LogPage
from stepline.ports.state import StateView, StoredAttempt, StoredWorkflow

# The published records have fewer words.
_WORDS = {
    StepStatus.RUNNING: "in-progress",
    StepStatus.WAITING: "pending",
    StepStatus.SUCCESS: "completed",
}


def file_value(record: FileRecord) -> dict[str, Any]:
    """Return a file as the published file-info record, with the digest of its bytes."""
    return {**file_info(record), "sha256": record.sha256}


def labels_value(record: FileRecord) -> list[dict[str, Any]]:
    """Return a file's labels."""
    return [label.to_plain() for label in record.labels]


def chosen_value(records: Sequence[FileRecord]) -> dict[str, Any]:
    """Return files that are processed again."""
    files = [{"fileId": each.pointer.file_id, "fileKey": each.pointer.key} for each in records]
    return {"fileIds": [each["fileId"] for each in files], "files": files, "total": len(files)}


def decision_values(service: Service, entries: Sequence[LedgerEntry]) -> list[dict[str, Any]]:
    """Return decisions of the trigger ledger."""
    with service.state.read() as view:
        return [_decision(view, entry) for entry in entries]


def pipeline_value(service: Service, pipeline: Pipeline) -> dict[str, Any]:
    """Return a pipeline as the published object."""
    return pipeline_to_api(pipeline, org=service.options.org)


def workflow_value(service: Service, stored: StoredWorkflow) -> dict[str, Any]:
    """Return what lists show of a workflow."""
    with service.state.read() as view:
        pipeline = view.pipelines.revision(stored.pipeline_id, stored.revision)
    protocol = _protocol_part(service, pipeline)
    return {
        "id": stored.id,
        "orgSlug": service.options.org,
        "pipelineId": stored.pipeline_id,
        "pipelineName": _name_of(pipeline),
        "pipelineRevision": stored.revision,
        **protocol,
        "protocolDigest": stored.protocol_digest,
        "status": stored.status.value,
        "waiting": stored.waiting,
        "priority": stored.priority,
        "inputFileId": stored.input_file_id or None,
        "createdAt": stored.created_at,
        "lastUpdatedAt": stored.updated_at,
    }


def details_value(service: Service, details: WorkflowDetails) -> dict[str, Any]:
    """Return all of a workflow; secrets stand in it as references."""
    stored, state = details.stored, details.stored.state
    protocol = protocol_of(service, stored)
    return {
        **workflow_value(service, stored),
        "protocol": protocol.document if protocol else None,
        "pipelineConfig": state["config"],
        "inputFile": state["inputFile"],
        "output": _output(state, ended=stored.status.final),
        "retryBehavior": state["retry"]["behavior"],
        "tasks": [
            _task(stored, index, protocol=protocol, attempts=details.attempts)
            for index in range(len(state["steps"]))
        ],
        "files": [file_value(record) for record in details.written],
    }


def pins_value(service: Service, stored: StoredWorkflow) -> dict[str, Any]:
    """Return all that it takes to run a workflow again elsewhere, without secrets' values.

    Raises:
        ArtifactNotFound: Its protocol is gone.
    """
    protocol = service.registry.protocol(stored.protocol_digest)
    with service.state.read() as view:
        pipeline = view.pipelines.revision(stored.pipeline_id, stored.revision)
        record = view.files.get(stored.input_file_id) if stored.input_file_id else None
    scripts = [_script(pin) for pin in stored.scripts]
    return {
        "workflowId": stored.id,
        "status": stored.status.value,
        "protocol": {
            "name": pipeline.spec.protocol if pipeline else "",
            "digest": stored.protocol_digest,
            "document": protocol.document,
        },
        "config": stored.state["config"],
        "inputFile": stored.state["inputFile"] or (record and input_file_value(record)),
        "steps": [
            {
                "index": step.index,
                "id": step.id,
                "function": step.task.function,
                "taskScript": script["name"],
                "digest": script["digest"],
                "status": state["status"],
                "input": state["input"],
            }
            for step, script, state in zip(
                protocol.steps, scripts, stored.state["steps"], strict=True
            )
        ],
    }


def log_value(page: LogPage) -> dict[str, Any]:
    """Return part of an attempt's log."""
    return {
        "lines": [line._asdict() for line in page.lines],
        "after": page.after,
        "complete": page.complete,
    }


def protocol_of(service: Service, stored: StoredWorkflow) -> Protocol | None:
    """Return a workflow's protocol; None if its content is gone or damaged."""
    try:
        return service.registry.protocol(stored.protocol_digest)
    except SteplineError:
        return None


def _name_of(pipeline: Pipeline | None) -> str:
    return pipeline.spec.name if pipeline else ""


def _decision(view: StateView, entry: LedgerEntry) -> dict[str, Any]:
    # A revision outlives its pipeline.
    pipeline = view.pipelines.revision(entry.pipeline_id, entry.revision)
    record = view.files.get(entry.file_id) if entry.file_id else None
    return {
        "id": entry.id,
        "at": entry.at,
        "event": entry.event.value,
        "fileId": entry.file_id or None,
        "fileKey": record.pointer.key if record else None,
        "pipelineId": entry.pipeline_id,
        "pipelineName": _name_of(pipeline),
        "revision": entry.revision,
        "decision": entry.decision.value,
        "reason": entry.reason,
        "workflowId": entry.workflow_id or None,
    }


def _protocol_part(service: Service, pipeline: Pipeline | None) -> dict[str, Any]:
    """Return the fields that name the protocol of a pipeline."""
    names = (
        "masterScriptNamespace",
        "masterScriptSlug",
        "masterScriptVersion",
        "protocolSlug",
        "protocolVersion",
    )
    if pipeline is None:
        return dict.fromkeys(names)
    plain = spec_to_api(pipeline.spec, org=service.options.org)
    return {name: plain[name] for name in names}


def _task(
    stored: StoredWorkflow,
    index: int,
    *,
    protocol: Protocol | None,
    attempts: Sequence[StoredAttempt],
) -> dict[str, Any]:
    state = stored.state["steps"][index]
    status = StepStatus(state["status"])
    step = protocol.steps[index] if protocol else None
    script = _script(stored.scripts[index])
    return {
        "taskId": f"{stored.id}-{index}",
        "step": index,
        "stepId": step.id if step else None,
        "name": step.name if step else script["name"],
        "slug": script["name"].partition("/")[2].partition(":")[0],
        "functionSlug": step.task.function if step else "",
        "script": script,
        "status": _WORDS.get(status, status.value),
        "input": state["input"],
        "output": _output(state, ended=status in (StepStatus.SUCCESS, StepStatus.FAILED)),
        "retry": max(0, state["attempt"] - 1),
        "attempt": state["attempt"],
        "retryAt": state["retry_at"],
        "taskMemoryInMB": state["memory_mb"],
        "timeoutInSec": state["timeout_s"],
        "attempts": [_attempt(each) for each in attempts if each.step == index],
    }


def _output(state: Mapping[str, Any], *, ended: bool) -> dict[str, Any] | None:
    if not ended:
        return None
    if state["error"] is not None:
        return {"type": "error", "error": state["error"]}
    return {"type": "success", "result": state["output"]}


def _attempt(stored: StoredAttempt) -> dict[str, Any]:
    return {
        **stored.record,
        "attempt": stored.attempt,
        "kind": stored.kind,
        "finishedAt": stored.finished_at,
    }


def _script(pin: str) -> dict[str, str]:
    name, _, digest = pin.partition("@")
    return {"name": name, "digest": digest}

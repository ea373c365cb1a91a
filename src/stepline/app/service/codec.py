"""A workflow's state as plain data, to be stored; its protocol is stored by digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stepline.model.protocol import Protocol
from stepline.model.task import Confinement, OutcomeKind, TaskOutcome
from stepline.model.workflow import (
    RetryBehavior,
    RetryPolicy,
    StepDefaults,
    StepState,
    StepStatus,
    Workflow,
    WorkflowStatus,
)

_STEP_VALUES = ("attempt", "memory_mb", "timeout_s", "input", "output", "error", "retry_at")


def to_plain(workflow: Workflow) -> dict[str, Any]:
    """Return all of a workflow but its protocol and id."""
    retry = workflow.retry
    return {
        "inputFile": workflow.input_file,
        "config": dict(workflow.config),
        "retry": {**vars(retry), "behavior": retry.behavior.value},
        "defaults": [vars(each) for each in workflow.step_defaults],
        "confinement": workflow.confinement.to_plain(),
        "status": workflow.status.value,
        "steps": [_step_to_plain(step) for step in workflow.steps],
        "startedAt": workflow.started_at,
        "output": workflow.output,
        "error": workflow.error,
    }


def from_plain(
    plain: Mapping[str, Any], protocol: Protocol, *, workflow_id: str, pipeline_id: str
) -> Workflow:
    """Return the workflow that `to_plain` was given."""
    retry = plain["retry"]
    return Workflow(
        id=workflow_id,
        protocol=protocol,
        input_file=plain["inputFile"],
        config=plain["config"],
        pipeline_id=pipeline_id,
        retry=RetryPolicy(**{**retry, "behavior": RetryBehavior(retry["behavior"])}),
        step_defaults=tuple(StepDefaults(**each) for each in plain["defaults"]),
        confinement=Confinement.from_plain(plain.get("confinement", {})),
        status=WorkflowStatus(plain["status"]),
        steps=tuple(_step_from_plain(step) for step in plain["steps"]),
        started_at=plain["startedAt"],
        output=plain["output"],
        error=plain["error"],
    )


def abandoned(plain: Mapping[str, Any], why: str) -> dict[str, Any]:
    """Return a workflow's plain state as failed at the step that it was at."""
    failed = {"status": StepStatus.FAILED.value, "error": why}
    changes = {
        StepStatus.RUNNING.value: failed,
        StepStatus.WAITING.value: failed,
        StepStatus.PENDING.value: {"status": StepStatus.SKIPPED.value},
    }
    steps = [{**step, **changes.get(step["status"], {})} for step in plain["steps"]]
    return {**plain, "status": WorkflowStatus.FAILED.value, "error": why, "steps": steps}


def _step_to_plain(step: StepState) -> dict[str, Any]:
    """Return a step's state; values of outcomes are left out, for `output` is the last one."""
    plain = {name: getattr(step, name) for name in _STEP_VALUES}
    outcomes = [{**vars(replace(o, value=None)), "kind": o.kind.value} for o in step.outcomes]
    return {**plain, "status": step.status.value, "outcomes": outcomes}


def _step_from_plain(plain: Mapping[str, Any]) -> StepState:
    outcomes = [TaskOutcome(**{**o, "kind": OutcomeKind(o["kind"])}) for o in plain["outcomes"]]
    values = {name: plain[name] for name in _STEP_VALUES}
    return StepState(status=StepStatus(plain["status"]), outcomes=tuple(outcomes), **values)

"""Short ways to write a protocol and to play a workflow of it to its end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stepline.engine import advance, create_workflow
from stepline.engine.events import (
    AttemptFinished,
    Command,
    RetryDue,
    ScheduleRetry,
    StartTask,
    WorkflowStarted,
)
from stepline.model.protocol import Protocol, Step, TaskReference
from stepline.model.task import OutcomeKind, TaskOutcome
from stepline.model.workflow import Workflow

TASK = TaskReference("common", "demo", "v1.0.0", "run")
NOW = 1_700_000_000.0


def make_protocol(*steps: dict[str, Any], **fields: Any) -> Protocol:
    """A protocol of steps given by their fields; ``id`` defaults to a, b, c ..."""
    made = [
        Step(**{"index": index, "task": TASK, "id": "abcdefgh"[index], **fields_of_step})
        for index, fields_of_step in enumerate(steps)
    ]
    return Protocol(steps=tuple(made), **fields)


def make_workflow(protocol: Protocol, **fields: Any) -> Workflow:
    return create_workflow(
        protocol, **{"workflow_id": "w-1", "started_at": "2024-01-31T12:00:00Z", **fields}
    )


def ok(value: Any = None) -> TaskOutcome:
    return TaskOutcome(OutcomeKind.RETURNED, value={} if value is None else value)


def bad(message: str = "boom") -> TaskOutcome:
    return TaskOutcome(OutcomeKind.RAISED, message=message)


def ended(kind: OutcomeKind, **fields: Any) -> TaskOutcome:
    return TaskOutcome(kind, message=kind.value, **fields)


def play(
    workflow: Workflow, outcomes: Iterable[TaskOutcome] = ()
) -> tuple[Workflow, list[Command]]:
    """Start a workflow and answer each command until the outcomes run out.

    Returns:
        The workflow, and every command in order.
    """
    workflow, commands = advance(workflow, WorkflowStarted())
    seen = list(commands)
    results = iter(outcomes)
    for command in seen:
        event: AttemptFinished | RetryDue
        if isinstance(command, StartTask):
            outcome = next(results, None)
            if outcome is None:
                break
            event = AttemptFinished(command.step, command.attempt, outcome, at=NOW)
        elif isinstance(command, ScheduleRetry):
            event = RetryDue(command.step, command.attempt)
        else:
            break
        workflow, commands = advance(workflow, event)
        seen += commands
    return workflow, seen


def statuses(workflow: Workflow) -> str:
    """First letters of the steps' statuses, such as ``sfk``: success, failed, skipped."""
    return "".join(
        "k" if s.status.value == "skipped" else s.status.value[0] for s in workflow.steps
    )

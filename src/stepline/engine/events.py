"""What can happen to a workflow, and what the engine may ask for in return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from stepline.model.task import TaskOutcome
from stepline.model.values import Json
from stepline.model.workflow import WorkflowStatus


@dataclass(frozen=True)
class WorkflowStarted:
    """The workflow exists and may begin."""


@dataclass(frozen=True)
class AttemptFinished:
    """An attempt ended, in whatever way.

    Attributes:
        step: Index of the step.
        attempt: Number of the attempt; anything but the running one is ignored.
        outcome: What came of it.
        at: Seconds since the epoch.
    """

    step: int
    attempt: int
    outcome: TaskOutcome
    at: float


@dataclass(frozen=True)
class RetryDue:
    """The time of a scheduled retry has come."""

    step: int
    attempt: int


@dataclass(frozen=True)
class CancelRequested:
    """Somebody asked for the end of the workflow."""

    reason: str = ""


@dataclass(frozen=True)
class RetryRequested:
    """Somebody asked for a workflow that failed or was cancelled to go on."""


Event: TypeAlias = (
    WorkflowStarted | AttemptFinished | RetryDue | CancelRequested | RetryRequested
)


@dataclass(frozen=True)
class StartTask:
    """Run one attempt of a step.

    Attributes:
        step: Index of the step.
        attempt: Number of the attempt, from 1.
        input: Evaluated input; None where the step has none.
        memory_mb: Memory limit, MiB.
        timeout_s: Wall-clock limit, seconds.
    """

    step: int
    attempt: int
    input: Json
    memory_mb: int
    timeout_s: float


@dataclass(frozen=True)
class ScheduleRetry:
    """Send `RetryDue` for this attempt at the given time.

    Attributes:
        at: Seconds since the epoch.
    """

    step: int
    attempt: int
    at: float


@dataclass(frozen=True)
class StopTask:
    """End the running attempt of a step; its outcome is not waited for."""

    step: int
    attempt: int


@dataclass(frozen=True)
class FinishWorkflow:
    """The workflow came to its end.

    Attributes:
        status: Completed, failed or cancelled.
        output: Its value if completed.
        error: Its error value if failed.
    """

    status: WorkflowStatus
    output: Json
    error: Json


Command: TypeAlias = StartTask | ScheduleRetry | StopTask | FinishWorkflow

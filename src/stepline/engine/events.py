"""What can happen to a workflow, and what the engine may ask for in return."""

from __future__ import annotations

from typing import TypeAlias

from stepline.frozen import frozen
from stepline.model.task import TaskOutcome
from stepline.model.values import Json
from stepline.model.workflow import WorkflowStatus


@frozen
class WorkflowStarted:
    """The workflow exists and may begin."""


@frozen
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


@frozen
class RetryDue:
    """The time of a scheduled retry has come."""

    step: int
    attempt: int


@frozen
class CancelRequested:
    """Somebody asked for the end of the workflow."""

    reason: str = ""


@frozen
class RetryRequested:
    """Somebody asked for a workflow that failed or was cancelled to go on.

    It has an effect each time it comes after such an end, so whoever sends it makes
    sure that one request is one event.
    """


@frozen
class WorkflowRefused:
    """Something that no step is to blame for makes going on impossible.

    Attributes:
        error: What it is, such as a secret that is missing.
    """

    error: Json


Event: TypeAlias = (
    WorkflowStarted
    | AttemptFinished
    | RetryDue
    | CancelRequested
    | RetryRequested
    | WorkflowRefused
)


@frozen
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


@frozen
class ScheduleRetry:
    """Send `RetryDue` for this attempt at the given time.

    Attributes:
        at: Seconds since the epoch.
    """

    step: int
    attempt: int
    at: float


@frozen
class StopTask:
    """End the running attempt of a step; its outcome is not waited for."""

    step: int
    attempt: int


@frozen
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

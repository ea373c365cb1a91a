"""A workflow's state: all that `engine.advance` reads and returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from stepline.frozen import frozen
from stepline.model.protocol import Protocol
from stepline.model.task import Confinement, TaskOutcome
from stepline.model.values import Json


class WorkflowStatus(str, Enum):
    """Status of a workflow."""

    PENDING = "pending"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether a workflow of this status has come to its end."""
        return self not in (WorkflowStatus.PENDING, WorkflowStatus.IN_PROGRESS)


class StepStatus(str, Enum):
    """Status of one step of a workflow."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"


class RetryBehavior(str, Enum):
    """When and how fast a failed step is attempted again."""

    OFF = "off"
    OOM_ONLY = "oom_only"
    CONSTANT = "constant"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


@frozen
class RetryPolicy:
    """A pipeline's retry settings.

    Attributes:
        behavior: Which failures are retried, and how the delay grows.
        base_delay_s: Seconds before the first retry.
        max_retries: Attempts after the first one.
        max_delay_s: Largest delay in seconds.
        max_memory_mb: Largest memory that a retry after out-of-memory asks for, MiB.
    """

    behavior: RetryBehavior = RetryBehavior.OFF
    base_delay_s: float = 1.0
    max_retries: int = 3
    max_delay_s: float = 3600.0
    max_memory_mb: int = 8192


@frozen
class StepDefaults:
    """Limits of one step where the protocol's step does not set them.

    Attributes:
        memory_override_mb: The pipeline's ``stepsConfig``; wins over the step's option.
        memory_mb: The task script's config.json; None means the platform's default.
        timeout_s: The pipeline's time-out; None means the platform's default.
    """

    memory_override_mb: int | None = None
    memory_mb: int | None = None
    timeout_s: float | None = None


@frozen
class StepState:
    """Where one step stands.

    Attributes:
        status: Status of the step.
        attempt: Number of the newest attempt, 0 before the first.
        memory_mb: Memory of the newest attempt, MiB.
        timeout_s: Wall-clock limit of the newest attempt, seconds.
        input: The evaluated input, fixed at the first attempt.
        output: The function's value once the step succeeded.
        error: The error value once the step failed.
        outcomes: One per finished attempt, in order.
        retry_at: Time of the next attempt, seconds since the epoch, while waiting.
    """

    status: StepStatus = StepStatus.PENDING
    attempt: int = 0
    memory_mb: int | None = None
    timeout_s: float | None = None
    input: Json = None
    output: Json = None
    error: Json = None
    outcomes: tuple[TaskOutcome, ...] = ()
    retry_at: float | None = None


@frozen
class Workflow:
    """One run of a protocol, pinned at creation.

    Attributes:
        id: Identifier of the workflow.
        protocol: The protocol, as it was when the workflow was created.
        input_file: The triggering file's pointer with ``meta``, or None if scheduled.
        config: Values given by the pipeline, by config key; secrets as references.
        pipeline_id: Identifier of the pipeline.
        retry: Retry settings.
        step_defaults: One per step.
        confinement: Surroundings of its tasks.
        status: Status of the workflow.
        steps: One state per step of the protocol.
        started_at: ISO 8601 time of creation.
        output: The workflow's value once completed.
        error: The error value once failed.
    """

    id: str
    protocol: Protocol
    input_file: Mapping[str, Json] | None = None
    config: Mapping[str, Json] = field(default_factory=dict)
    pipeline_id: str = ""
    retry: RetryPolicy = RetryPolicy()
    step_defaults: tuple[StepDefaults, ...] = ()
    confinement: Confinement = Confinement()
    status: WorkflowStatus = WorkflowStatus.PENDING
    steps: tuple[StepState, ...] = ()
    started_at: str = ""
    output: Json = None
    error: Json = None

    @property
    def finished(self) -> bool:
        """Whether the workflow has come to its end."""
        return self.status.final

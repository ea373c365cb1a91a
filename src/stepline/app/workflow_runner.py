"""Driving one workflow from start to end in the calling thread.

The engine decides; this carries out its commands one after the other. The service
dispatches the same commands to a queue instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from stepline import __version__
from stepline.app.attempts import AttemptPlan, AttemptRecord, Platform, run_attempt
from stepline.engine import advance, effective_config
from stepline.engine.events import (
    AttemptFinished,
    Command,
    Event,
    FinishWorkflow,
    RetryDue,
    ScheduleRetry,
    StartTask,
)
from stepline.frozen import frozen
from stepline.model.protocol import TaskReference
from stepline.model.task import Limits
from stepline.model.values import Json
from stepline.model.workflow import Workflow
from stepline.ports.executor import LogLine, ScriptVersion

ORG = "local"
# What the operating system's timers can hold, with room to spare.
LONGEST_TIMEOUT_S = 2e6
PIPELINE_NAME = "stepline run"


class Attempt(NamedTuple):
    """Which attempt at which step.

    Attributes:
        step: Index of the step.
        number: Number of the attempt, from 1.
    """

    step: int
    number: int


class Reporter(Protocol):
    """Shows a workflow's progress to somebody."""

    def attempt_started(self, attempt: Attempt) -> None:
        """An attempt begins."""

    def log(self, attempt: Attempt, line: LogLine) -> None:
        """The task printed a line; secrets are masked."""

    def attempt_finished(self, attempt: Attempt, record: AttemptRecord) -> None:
        """An attempt ended."""

    def retry_scheduled(self, step: int, delay_s: float) -> None:
        """The next attempt begins in ``delay_s`` seconds."""


@frozen
class StepAttempt:
    """An attempt's record, and which attempt it is."""

    step: int
    attempt: int
    record: AttemptRecord


@dataclass
class WorkflowRunner:
    """Runs workflows one at a time.

    Attributes:
        platform: The adapters.
        versions: The task script of each task that a protocol names.
        reporter: Told of all progress.
        clock: Returns seconds since the epoch.
        sleep: Waits for a number of seconds.
        attempts: Every attempt so far, in order.
    """

    platform: Platform
    versions: Mapping[TaskReference, ScriptVersion]
    reporter: Reporter
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    attempts: list[StepAttempt] = field(default_factory=list)

    def run(self, workflow: Workflow, event: Event) -> Workflow:
        """Return the workflow as it is at its end, after ``event`` and all that follows.

        Raises:
            UserError: A task script's environment cannot be made.
            PlatformError: An attempt could not be started.
        """
        next_event: Event | None = event
        while next_event is not None:
            workflow, commands = advance(workflow, next_event)
            next_event = self._carry_out(workflow, commands)
        return workflow

    def _carry_out(self, workflow: Workflow, commands: tuple[Command, ...]) -> Event | None:
        for command in commands:
            if isinstance(command, StartTask):
                return self._attempt(workflow, command)
            if isinstance(command, ScheduleRetry):
                delay = max(0.0, command.at - self.clock())
                self.reporter.retry_scheduled(command.step, delay)
                self.sleep(delay)
                return RetryDue(step=command.step, attempt=command.attempt)
            if isinstance(command, FinishWorkflow):
                return None
        return None

    def _attempt(self, workflow: Workflow, command: StartTask) -> Event:
        attempt = Attempt(command.step, command.attempt)
        self.reporter.attempt_started(attempt)
        record = run_attempt(
            self._plan(workflow, command),
            self.platform,
            log=lambda line: self.reporter.log(attempt, line),
        )
        self.attempts.append(StepAttempt(command.step, command.attempt, record))
        self.reporter.attempt_finished(attempt, record)
        return AttemptFinished(command.step, command.attempt, record.outcome, at=self.clock())

    def _plan(self, workflow: Workflow, command: StartTask) -> AttemptPlan:
        task = workflow.protocol.steps[command.step].task
        version = self.versions[task]
        task_id = f"{workflow.id}-{command.step}"
        return AttemptPlan(
            version=version,
            function=task.function,
            task_id=task_id,
            attempt=command.attempt,
            input=command.input,
            context=task_context(
                workflow,
                task_id=task_id,
                task_slug=task.function,
                task_script=version.name,
                now=self.platform.now(),
            ),
            limits=replace(
                Limits(),
                memory_mb=command.memory_mb,
                timeout_s=min(command.timeout_s, LONGEST_TIMEOUT_S),
            ),
        )


def task_context(
    workflow: Workflow, *, task_id: str, task_slug: str, task_script: str, now: str
) -> dict[str, Any]:
    """Return the context values of a task, keys as task scripts' contexts have them."""
    protocol = workflow.protocol
    config: dict[str, Json] = dict(effective_config(workflow))
    config["pipelineName"] = PIPELINE_NAME
    input_file: Mapping[str, Json] = workflow.input_file or {}
    return {
        "orgSlug": ORG,
        "pipelineId": workflow.pipeline_id,
        "workflowId": workflow.id,
        "taskId": task_id,
        "taskSlug": task_slug,
        "taskScript": task_script,
        "masterScriptNamespace": protocol.namespace,
        "masterScriptSlug": protocol.slug,
        "masterScriptVersion": protocol.version,
        "protocolSlug": protocol.slug,
        "protocolVersion": protocol.version,
        "pipelineConfig": config,
        "inputFile": dict(input_file),
        "createdAt": workflow.started_at,
        "taskCreatedAt": now,
        "platformUrl": "http://localhost",
        "platformApiUrl": "http://localhost/api",
        "platformVersion": f"v{__version__}",
        "includePrereleases": False,
    }

"""Driving one workflow from start to end in the calling thread.

The engine decides; this carries out its commands one after the other. The service
dispatches the same commands to a queue instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from stepline.app.attempt_plans import Place, attempt_plan
from stepline.app.attempts import AttemptRecord, Platform, Secrecy, run_attempt
from stepline.engine import advance
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
from stepline.model.workflow import Workflow
from stepline.ports.executor import LogLine, ScriptVersion


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
        secrecy: The workflow's secrets.
        versions: The task script of each task that a protocol names.
        reporter: Told of all progress.
        clock: Returns seconds since the epoch.
        sleep: Waits for a number of seconds.
        place: Where tasks are told that they run.
        environments: What earlier runs attempted steps in, by step.
        attempts: Every attempt so far, in order.
    """

    platform: Platform
    secrecy: Secrecy
    versions: Mapping[TaskReference, ScriptVersion]
    reporter: Reporter
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    place: Place = field(default_factory=Place)
    environments: Mapping[int, str] = field(default_factory=dict)
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
            attempt_plan(
                workflow,
                command,
                version=self.versions[workflow.protocol.steps[command.step].task],
                place=self.place,
                now=self.platform.now(),
                environment=self._environment(command.step),
            ),
            self.platform,
            secrecy=self.secrecy,
            log=lambda lines: self._log(attempt, lines),
            keep=lambda _, changes: self.platform.catalog.commit(changes),
        )
        self.attempts.append(StepAttempt(command.step, command.attempt, record))
        self.reporter.attempt_finished(attempt, record)
        return AttemptFinished(command.step, command.attempt, record.outcome, at=self.clock())

    def _environment(self, step: int) -> str:
        """Return what the newest attempt at a step ran in, in this run or an earlier one."""
        own = [each.record.environment for each in self.attempts if each.step == step]
        return next(filter(None, reversed(own)), self.environments.get(step, ""))

    def _log(self, attempt: Attempt, lines: Sequence[LogLine]) -> None:
        for line in lines:
            self.reporter.log(attempt, line)

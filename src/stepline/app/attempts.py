"""One attempt at one step: its context, its files, its log and its record."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stepline.app.attempt_files import AttemptFiles
from stepline.app.attempt_scope import AttemptScope
from stepline.app.folders import remove_folder
from stepline.app.masking import Masker, StreamMasker
from stepline.app.task_context import TaskContextService
from stepline.errors import PlatformError, SteplineError
from stepline.frozen import frozen
from stepline.model.task import Limits, OutcomeKind, TaskOutcome, TaskRequest
from stepline.model.values import Json
from stepline.ports.executor import Executor, LogLine, ScriptVersion
from stepline.ports.files import FileCatalog, FileStore
from stepline.ports.schemas import SchemaSource
from stepline.ports.secrets import SecretBackend


@frozen(kw_only=True)
class AttemptPlan:
    """What is to be attempted.

    Attributes:
        version: The task script.
        function: Slug of its function.
        task_id: Identifies the task over all its attempts.
        attempt: Number of the attempt, from 1.
        input: JSON for the function.
        context: The task's context values.
        limits: Bounds of the attempt.
    """

    version: ScriptVersion
    function: str
    task_id: str
    attempt: int
    input: Json
    context: Mapping[str, Json]
    limits: Limits


@frozen(kw_only=True)
class AttemptRecord:
    """What came of an attempt, and what it used; without the value of any secret.

    Attributes:
        outcome: How it ended.
        reads: Every file version, schema and secret that it read, in order.
        written: Ids of the file versions that it made visible.
        environment: What identifies the environment that it ran in.
        started_at: Seconds since the epoch at which user code began, or None.
    """

    outcome: TaskOutcome
    reads: Sequence[Mapping[str, Json]]
    written: Sequence[str]
    environment: str
    started_at: float | None


@frozen(kw_only=True)
class Platform:
    """The adapters that attempts work with.

    Attributes:
        executor: Runs the attempts.
        catalog: All visible files.
        store: The files' bytes.
        schemas: IDS and other schemas, if there are any.
        secrets: Secrets, if there are any.
        masker: Knows the secrets' values, to keep them out of logs and records.
        now: Returns the time, ISO 8601 in UTC.
        new_id: Returns an identifier that nothing else has.
        scratch_root: Folder in which attempts get a scratch folder each.
    """

    executor: Executor
    catalog: FileCatalog
    store: FileStore
    schemas: SchemaSource | None
    secrets: SecretBackend | None
    masker: Masker
    now: Callable[[], str]
    new_id: Callable[[], str]
    scratch_root: str


LogSink = Callable[[LogLine], None]

# Calls whose parameters are kept beside a file, in clear.
_KEPT = frozenset(
    {
        "write_file",
        "write_detached_file",
        "write_ids",
        "update_metadata_tags",
        "add_attributes",
        "add_labels",
    }
)


def run_attempt(plan: AttemptPlan, platform: Platform, *, log: LogSink) -> AttemptRecord:
    """Run one attempt; what it wrote becomes visible only if it succeeded.

    Args:
        plan: What to attempt.
        platform: The adapters.
        log: Takes each line of the task's output, masked.

    Raises:
        UserError: The task script's environment cannot be made.
        PlatformError: This machine cannot make it.
    """
    environment = platform.executor.prepare(plan.version)
    scratch = os.path.join(platform.scratch_root, f"{plan.task_id}-{plan.attempt}")
    remove_folder(scratch)  # a platform that was killed may have left it
    os.makedirs(scratch, mode=0o700)
    files = AttemptFiles(platform.catalog, platform.store)
    scope = _scope(plan, platform, files=files, scratch=scratch)
    services = _Services(TaskContextService(scope), platform.masker, log)
    try:
        outcome = _run(plan, platform, services=services, scratch=scratch)
        services.end()
        outcome, written = _settle(outcome, files)
    finally:
        files.discard()
        remove_folder(scratch)
    return AttemptRecord(
        outcome=_masked(outcome, platform.masker),
        reads=platform.masker.value(scope.reads.entries),
        written=written,
        environment=environment,
        started_at=services.started_at,
    )


def _run(
    plan: AttemptPlan, platform: Platform, *, services: _Services, scratch: str
) -> TaskOutcome:
    """Run the task; a fault of the platform is an outcome that says nothing about it."""
    try:
        return platform.executor.run(
            plan.version, _request(plan), services=services, scratch=scratch
        )
    except PlatformError as error:
        return TaskOutcome(OutcomeKind.LOST, message=str(error))


def _scope(
    plan: AttemptPlan, platform: Platform, *, files: AttemptFiles, scratch: str
) -> AttemptScope:
    function = plan.version.script.find(plan.function)
    return AttemptScope(
        values=plan.context,
        files=files,
        scratch_dir=scratch,
        now=platform.now,
        new_id=platform.new_id,
        allowed_ids=function.allowed_ids if function else None,
        schemas=platform.schemas,
        secrets=platform.secrets,
        bucket="local",
        output_bytes=plan.limits.output_bytes,
    )


def _request(plan: AttemptPlan) -> TaskRequest:
    return TaskRequest(
        task_id=plan.task_id,
        attempt=plan.attempt,
        function=plan.function,
        input=plan.input,
        context=plan.context,
        limits=plan.limits,
    )


def _settle(outcome: TaskOutcome, files: AttemptFiles) -> tuple[TaskOutcome, list[str]]:
    """Make the files of a success visible; where that cannot be, it is none."""
    if not outcome.succeeded:
        return outcome, []
    written = [record.pointer.file_id for record in files.changes().files]
    try:
        files.commit()
    except PlatformError as error:
        return replace(outcome, kind=OutcomeKind.LOST, value=None, message=str(error)), []
    except SteplineError as error:
        return replace(outcome, kind=OutcomeKind.RAISED, value=None, message=error.what), []
    return outcome, written


def _masked(outcome: TaskOutcome, masker: Masker) -> TaskOutcome:
    return replace(
        outcome,
        value=masker.value(outcome.value),
        message=masker.text(outcome.message),
        traceback=masker.text(outcome.traceback),
    )


@dataclass
class _Services:
    """Answers one attempt's calls, and passes on its output without secrets."""

    context: TaskContextService
    masker: Masker
    sink: LogSink
    started_at: float | None = None
    _streams: dict[str, StreamMasker] = field(default_factory=dict)

    def call(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if method in _KEPT and self.masker.value(params) != params:
            message = f"{method}: a name, metadata, tag or label may not hold a secret's value"
            return {"error": {"type": "ValueError", "message": message}}
        try:
            return self.context.answer(method, params)
        except Exception as error:  # noqa: BLE001  (whatever a task asks, the platform goes on)
            message = f"the platform failed at {method}: {type(error).__name__}: {error}"
            return {"error": {"type": "PlatformError", "message": message}}

    def started(self, at: float) -> None:
        self.started_at = at

    def log(self, lines: Sequence[LogLine]) -> None:
        for line in lines:
            stream = self._streams.get(line.stream)
            if stream is None:
                stream = self._streams[line.stream] = StreamMasker(self.masker)
            text = stream.end(line.text) if line.ended else stream.feed(line.text)
            self.sink(line._replace(text=text))

    def end(self) -> None:
        """Pass on what a stream that ended within a line still holds."""
        for name, stream in self._streams.items():
            if rest := stream.end():
                self.sink(LogLine(at=self.started_at or 0.0, stream=name, text=rest))

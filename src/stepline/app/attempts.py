"""One attempt at one step: its context, its files, its log and its record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from stepline.app.attempt_files import AttemptFiles, BytesLost
from stepline.app.attempt_scope import AttemptScope
from stepline.app.masking import Masker, StreamMasker
from stepline.app.task_context import TaskContextService
from stepline.errors import ConfigError, PlatformError, TaskError, UserError
from stepline.frozen import frozen
from stepline.model.task import Limits, OutcomeKind, TaskOutcome, TaskRequest
from stepline.model.values import Json
from stepline.ports.executor import Executor, LogLine, ScriptVersion, Seat, TaskServices
from stepline.ports.files import Changes, FileCatalog, FileStore
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
        environment: What earlier attempts at the task ran in; empty for the first.
    """

    version: ScriptVersion
    function: str
    task_id: str
    attempt: int
    input: Json
    context: Mapping[str, Json]
    limits: Limits
    environment: str = ""


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
        now: Returns the time, ISO 8601 in UTC.
        new_id: Returns an identifier that nothing else has.
        bucket: Bucket of files that belong to no input file.
    """

    executor: Executor
    catalog: FileCatalog
    store: FileStore
    schemas: SchemaSource | None
    now: Callable[[], str]
    new_id: Callable[[], str]
    bucket: str = "local"


@frozen
class Secrecy:
    """The secrets of one workflow.

    Attributes:
        secrets: Where they are; None: there are none.
        masker: Knows their values, to keep them out of logs and records.
    """

    secrets: SecretBackend | None
    masker: Masker


def attempt_plain(record: AttemptRecord) -> dict[str, Any]:
    """Return what came of an attempt, but for its value and number, as plain data."""
    outcome = record.outcome
    return {
        "message": outcome.message,
        "traceback": outcome.traceback,
        "exitCode": outcome.exit_code,
        "signal": outcome.signal,
        "startedAt": record.started_at,
        "durationSeconds": round(outcome.duration_s, 6),
        "peakMemoryBytes": outcome.peak_memory_bytes,
        "environment": record.environment,
        "reads": list(record.reads),
        "written": list(record.written),
    }


LogSink = Callable[[Sequence[LogLine]], None]

Keep = Callable[[AttemptRecord, Changes], None]
"""Makes an attempt's record and what it changed last, both or neither.

Raises `FileConflict` where a precondition does not hold; nothing was kept then.
"""

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


def run_attempt(
    plan: AttemptPlan, platform: Platform, *, secrecy: Secrecy, log: LogSink, keep: Keep
) -> AttemptRecord:
    """Run one attempt; what it wrote becomes visible only if it succeeded.

    Args:
        plan: What to attempt.
        platform: The adapters.
        secrecy: The workflow's secrets.
        log: Takes the lines of the task's output, masked.
        keep: Called once the attempt has ended and its bytes are in the store.

    Returns:
        The record that was kept.

    Raises:
        UserError: The task script's environment cannot be made, is not that of earlier
            attempts, or cannot hold a limit.
        PlatformError: This machine cannot make it, or nothing could be kept.
    """
    files = AttemptFiles(platform.catalog, platform.store)
    environment = platform.executor.prepare(plan.version)
    _check_same(plan, environment)
    try:
        with _seat(plan, platform) as seat:
            record = _attempted(plan, platform, secrecy=secrecy, log=log, files=files, seat=seat)
            # Bytes that the store has not taken yet are in the seat's folder.
            return _kept(replace(record, environment=environment), files, keep=keep)
    finally:
        files.discard()


def _check_same(plan: AttemptPlan, environment: str) -> None:
    """Refuse to go on in another environment than the one that the task began in."""
    if plan.environment in ("", environment):
        return
    raise ConfigError(
        f"earlier attempts of the task ran in the environment {plan.environment}, which is gone "
        f"or is made otherwise by now; {plan.version.name} would get {environment}",
        hint="start another workflow for the file, which takes the environment of now",
    )


@contextmanager
def _seat(plan: AttemptPlan, platform: Platform) -> Iterator[Seat]:
    """Take a seat for an attempt; where there is none, one that says so."""
    with ExitStack() as stack:
        try:
            seat = stack.enter_context(platform.executor.seat(plan.version, plan.limits))
        except PlatformError as error:
            seat = _NoSeat(error)
        yield seat


@dataclass
class _NoSeat:
    """The place of an attempt that the platform cannot have done."""

    error: PlatformError
    scratch: str = ""
    shares_paths: bool = True

    def run(self, request: TaskRequest, *, services: TaskServices) -> TaskOutcome:
        """Fail as the seat did."""
        raise self.error


def _attempted(
    plan: AttemptPlan,
    platform: Platform,
    *,
    secrecy: Secrecy,
    log: LogSink,
    files: AttemptFiles,
    seat: Seat,
) -> AttemptRecord:
    """Run an attempt; return its record, with nothing written yet."""
    scope = _scope(plan, platform, secrecy, files=files, seat=seat)
    services = _Services(TaskContextService(scope), secrecy.masker, log)
    outcome = _run(seat, _request(plan), services)
    services.end()
    return AttemptRecord(
        outcome=_masked(outcome, secrecy.masker),
        reads=secrecy.masker.value(scope.reads.entries),
        written=[],
        environment="",
        started_at=services.started_at,
    )


def _run(seat: Seat, request: TaskRequest, services: _Services) -> TaskOutcome:
    """Run the task; a fault of the platform is an outcome that says nothing about it."""
    try:
        return seat.run(request, services=services)
    except PlatformError as error:
        final = not error.retryable
        return TaskOutcome(OutcomeKind.LOST, message=str(error), final=final)


def _scope(
    plan: AttemptPlan,
    platform: Platform,
    secrecy: Secrecy,
    *,
    files: AttemptFiles,
    seat: Seat,
) -> AttemptScope:
    function = plan.version.script.find(plan.function)
    return AttemptScope(
        values=plan.context,
        files=files,
        scratch_dir=seat.scratch,
        link_reads=seat.shares_paths,
        now=platform.now,
        new_id=platform.new_id,
        allowed_ids=function.allowed_ids if function else None,
        schemas=platform.schemas,
        secrets=secrecy.secrets,
        bucket=platform.bucket,
        output_bytes=plan.limits.output_bytes,
    )


def attempt_id(task_id: str, attempt: int) -> str:
    """Return what an executor knows an attempt by: another one for each attempt at a task.

    So what is asked of one, such as its end, never reaches the next.
    """
    return f"{task_id}-{attempt}"


def _request(plan: AttemptPlan) -> TaskRequest:
    return TaskRequest(
        task_id=attempt_id(plan.task_id, plan.attempt),
        attempt=plan.attempt,
        function=plan.function,
        input=plan.input,
        context=plan.context,
        limits=plan.limits,
    )


def _kept(record: AttemptRecord, files: AttemptFiles, *, keep: Keep) -> AttemptRecord:
    """Have a record kept, with the files of a success; where those cannot be, it is none."""
    if record.outcome.succeeded:
        try:
            files.publish()
            changes = files.changes()
            written = [each.pointer.file_id for each in changes.files]
            success = replace(record, written=written)
            keep(success, changes)
            return success
        except (TaskError, UserError) as error:
            record = _failed(record, OutcomeKind.RAISED, error.what)
        except BytesLost as error:
            record = _failed(record, OutcomeKind.LOST, str(error))
    keep(record, Changes())
    return record


def _failed(record: AttemptRecord, kind: OutcomeKind, message: str) -> AttemptRecord:
    return replace(record, outcome=replace(record.outcome, kind=kind, value=None, message=message))


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
        self.sink([line._replace(text=self._masked(line)) for line in lines])

    def end(self) -> None:
        """Pass on what a stream that ended within a line still holds."""
        rests = [(name, stream.end()) for name, stream in self._streams.items()]
        at = self.started_at or 0.0
        if lines := [LogLine(at=at, stream=name, text=rest) for name, rest in rests if rest]:
            self.sink(lines)

    def _masked(self, line: LogLine) -> str:
        stream = self._streams.get(line.stream)
        if stream is None:
            stream = self._streams[line.stream] = StreamMasker(self.masker)
        return stream.end(line.text) if line.ended else stream.feed(line.text)

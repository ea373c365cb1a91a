"""Running a whole protocol in a test."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from stepline.app.attempts import AttemptRecord
from stepline.app.images.suites import TESTED_IMAGE
from stepline.app.run_local import RunPorts, RunRequest, run_local
from stepline.app.run_plan import Machine, RunWords, plan_run
from stepline.app.run_secrets import SecretSource
from stepline.app.workflow_runner import Attempt
from stepline.errors import ConfigError, Location, PlatformError
from stepline.expressions.suggest import nearest_hint
from stepline.frozen import frozen
from stepline.model.file import FileRecord
from stepline.model.protocol import ConfigType, Protocol, TriggerType
from stepline.model.task import Isolation
from stepline.model.values import Json
from stepline.ports.executor import Executor, ExecutorOptions, LogLine
from stepline.testing.in_process import InProcessExecutor
from stepline.testing.kit.files import FilesByName, FileWord
from stepline.testing.kit.lake import KitLake
from stepline.testing.kit.session import Printer, Session, ToThePoint
from stepline.testing.kit.strict import StrictExecutor

IN_PROCESS = InProcessExecutor.name
EXECUTORS = (IN_PROCESS, "process")
_BACKEND = "test"


@frozen
class StepResult:
    """What came of one step.

    Attributes:
        name: The step's id, or ``steps[<index>]``.
        status: ``success``, ``failed`` or ``skipped``.
        input: The evaluated input; None for a step that was skipped.
        output: What the function returned; None unless it succeeded.
        error: The error value; None unless it failed.
        traceback: Where the function raised, from its own code on, or empty.
        log: The lines that it printed.
    """

    name: str
    status: str
    input: Json = None
    output: Any = None
    error: Any = None
    traceback: str = ""
    log: list[str] = field(default_factory=list)


class StepResults(Mapping[str, StepResult]):
    """Steps by their ids, in order; also by their index.

    Args:
        steps: All steps of the protocol.
    """

    def __init__(self, steps: list[StepResult]) -> None:
        self._steps = steps

    def __getitem__(self, name: str | int) -> StepResult:
        if isinstance(name, int):
            return self._steps[name]
        for step in self._steps:
            if step.name == name:
                return step
        raise KeyError(f"the protocol has no step {name!r}: {nearest_hint(name, self)}")

    def __iter__(self) -> Iterator[str]:
        return iter([step.name for step in self._steps])

    def __len__(self) -> int:
        return len(self._steps)


@frozen
class ProtocolResult:
    """A finished workflow.

    Attributes:
        status: ``completed`` or ``failed``.
        output: What the workflow returned; None if it failed.
        error: Its error value; None if it completed.
        steps: The steps by their ids.
        files: Files that the workflow wrote, by name.
        record: Its record, as ``stepline run`` writes it to workflow.json.
    """

    status: str
    output: Any
    error: Any
    steps: StepResults
    files: FilesByName
    record: Mapping[str, Any]

    def __repr__(self) -> str:
        steps = ", ".join(f"{step.name}: {step.status}" for step in self.steps.values())
        ending = f"error={self.error!r}" if self.status == "failed" else f"output={self.output!r}"
        return f"<workflow {self.status}, {ending}, steps: {steps}>"


class RunProtocol:
    """Runs a protocol of the project with the real engine and validation.

    Args:
        session: What the fixtures of the test share.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(
        self,
        protocol: str | Path | None = None,
        *,
        input: FileWord | None = None,
        config: Mapping[str, Json] | None = None,
        secrets: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        executor: str = IN_PROCESS,
        task_scripts: str | Path | None = None,
    ) -> ProtocolResult:
        """Run a protocol from its first step to its end.

        Args:
            protocol: Its folder or file, from the project's root or from ``protocols``;
                None means the only one.
            input: A file of the project, or a pointer; None means the input file that the
                test added, if any.
            config: Values of the protocol's config keys.
            secrets: Secrets by config key, besides those that the test declared.
            env: Environment variables for tasks.
            executor: ``in-process``: functions run in this process, where a debugger and
                coverage see them. ``process``: as with ``stepline run``, in workers with
                their own Python and requirements.
            task_scripts: Folder of the task scripts; None means the project's own.

        Raises:
            UserError: The protocol is not valid, or a value is missing, unknown or wrong.
            PlatformError: The executor could not do its work.
        """
        __tracebackhide__ = True
        session = self._session
        with ToThePoint():
            for key, value in (secrets or {}).items():
                session.secrets[key] = value
            session.files.settle()
            request = self._request(protocol, env or {}, executor, task_scripts)
            request = self._given(request, input, dict(config or {}), set(secrets or {}))
            printer = Printer([step.name for step in request.protocol.steps])
            result = run_local(request, ports=self._ports(), reporter=_Reporter(printer))
        session.check()
        return self._result(result.record, printer)

    def _request(
        self,
        protocol: str | Path | None,
        env: Mapping[str, str],
        executor: str,
        task_scripts: str | Path | None,
    ) -> RunRequest:
        if executor not in EXECUTORS:
            raise ConfigError(
                f"there is no executor '{executor}' for tests",
                hint=f"use one of: {', '.join(EXECUTORS)}",
            )
        if executor != IN_PROCESS and os.environ.get(TESTED_IMAGE):
            import pytest

            pytest.skip("environments of the executor 'process' are not made inside an image")
        project, settings = self._session.project, self._session.project.settings
        options = ExecutorOptions(
            task_env={**settings.task_env, **env},
            isolation=Isolation(settings.isolation),
            allow_before_install=settings.allow_before_install,
        )
        machine = Machine(
            cache_dir=project.cache_dir,
            default_runtime=project.default_runtime,
            lake=KitLake(self._session.files),
            executor=executor,
            options=options,
            warn=lambda text: Printer().note(f"warning: {text}"),
        )
        scripts = project.root / task_scripts if task_scripts else None
        words = RunWords(
            protocol=project.protocol(protocol),
            input_path=None,
            task_scripts=scripts,
            config={},
            secrets={},
        )
        return plan_run(words, machine)

    def _given(
        self,
        request: RunRequest,
        input: FileWord | None,
        config: dict[str, Json],
        named_secrets: set[str],
    ) -> RunRequest:
        """Return the request with all that the test gives."""
        session, protocol = self._session, request.protocol
        record = self._input(input, request)
        declared = {key for key, value in session.secrets.items() if value is not None}
        secrets = {key for key in declared if key in protocol.config} | named_secrets
        versions = request.versions
        if request.executor == IN_PROCESS:
            # Not the copies, so that breakpoints and coverage are in the author's files.
            versions = {
                task: replace(version, folder=request.folders[version.digest])
                for task, version in versions.items()
            }
        return replace(
            request,
            versions=versions,
            input_file=record,
            input_path=record.pointer.key if record else None,
            config=_texts(config, protocol, request.protocol_path),
            secrets={key: SecretSource(_BACKEND, key) for key in sorted(secrets)},
        )

    def _input(self, given: FileWord | None, request: RunRequest) -> FileRecord | None:
        files = self._session.files
        record = files.record(files.find(given)) if given is not None else files.input_record
        if record is None and TriggerType.SCHEDULED not in request.protocol.triggers:
            raise ConfigError(
                "the protocol is for files, and the test gives no input file",
                where=Location(request.protocol_path),
                hint="add input='data/…', or files.add(…) before",
            )
        return record

    def _ports(self) -> RunPorts:
        session = self._session
        return RunPorts(
            lake=KitLake(session.files),
            executor=self._executor,
            secret_backend=lambda name: session.secrets,
            schemas=session.schemas,
            now=session.clock.now,
            clock=session.clock.time,
            sleep=session.clock.sleep,
            new_id=session.ids.new,
            cache_dir=session.project.cache_dir,
        )

    def _executor(self, name: str, options: ExecutorOptions) -> Executor:
        session = self._session
        if name == IN_PROCESS:
            folder = session.folder / "protocols"
            inner: Executor = InProcessExecutor(folder, task_env=options.task_env)
            return StrictExecutor(inner, session.strictness, fail=session.fail)
        from stepline.plugins.executor_process import stepline_executor

        made = stepline_executor(name, options, session.project.cache_dir, os.environ)
        if made is None:
            raise PlatformError(f"the executor '{name}' cannot be made")
        # Its tasks are in other processes: they get an error, and `check` ends the test.
        return StrictExecutor(made, session.strictness, fail=lambda problem: None)

    def _result(self, record: Mapping[str, Any], printer: Printer) -> ProtocolResult:
        catalog = self._session.files.catalog
        written = [r for r in catalog.newest() if r.provenance.get("workflowId") == record["id"]]
        steps = [
            StepResult(
                name=step["name"],
                status=step["status"],
                input=step["input"],
                output=step["output"],
                error=step["error"],
                traceback=step["attempts"][-1]["traceback"] if step["attempts"] else "",
                log=printer.lines.get(index, []),
            )
            for index, step in enumerate(record["steps"])
        ]
        return ProtocolResult(
            status=record["status"],
            output=record["output"],
            error=record["error"],
            steps=StepResults(steps),
            files=self._session.files.by_name(written),
            record=record,
        )


class _Reporter:
    """Prints a workflow's progress."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer

    def attempt_started(self, attempt: Attempt) -> None:
        pass

    def log(self, attempt: Attempt, line: LogLine) -> None:
        self._printer.take(attempt.step, line)

    def attempt_finished(self, attempt: Attempt, record: AttemptRecord) -> None:
        outcome = record.outcome
        if not outcome.succeeded:
            self._printer.note(f"{self._printer.name(attempt.step)} failed: {outcome.message}")
            self._printer.note(outcome.traceback)

    def retry_scheduled(self, step: int, delay_s: float) -> None:
        pass


def _texts(config: Mapping[str, Json], protocol: Protocol, path: str) -> dict[str, str]:
    """Return values as they are typed on the command line, so that they are checked alike.

    Raises:
        ConfigError: A value for a string is not text.
    """
    texts: dict[str, str] = {}
    for key, value in config.items():
        item = protocol.config.get(key)
        if value is None:
            continue
        if item is None or item.type in (ConfigType.STRING, ConfigType.SECRET):
            if item and not isinstance(value, str):
                raise ConfigError(
                    f"config '{key}' ({item.label}) must be of type string, not {value!r}",
                    where=Location(path),
                )
            texts[key] = str(value)
        else:
            texts[key] = json.dumps(value)
    return texts

"""Running protocols and functions on local files: pinned, driven, recorded, exported."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from functools import partial
from pathlib import Path
from typing import Any

from stepline.app.attempt_plans import Place
from stepline.app.attempts import Platform, Secrecy
from stepline.app.config_values import read_values
from stepline.app.file_views import input_file_value
from stepline.app.masking import Masker
from stepline.app.run_secrets import RunSecrets, SecretSource
from stepline.app.workflow_record import Origin, workflow_record
from stepline.app.workflow_runner import Reporter, WorkflowRunner
from stepline.engine import create_workflow
from stepline.engine.events import Event, RetryRequested, WorkflowStarted
from stepline.errors import ConfigError, Location, UserError
from stepline.frozen import frozen
from stepline.model.file import FileRecord
from stepline.model.protocol import Protocol, TaskReference, TriggerType
from stepline.model.task import Confinement
from stepline.model.workflow import StepDefaults, Workflow
from stepline.ports.executor import Executor, ExecutorOptions, ScriptVersion
from stepline.ports.lake import LocalLake
from stepline.ports.schemas import SchemaSource
from stepline.ports.secrets import SecretBackend


@frozen(kw_only=True)
class RunPorts:
    """What a local run needs from outside.

    Attributes:
        lake: Files.
        executor: Makes the executor that options name.
        secret_backend: Gives the secret backend of a name.
        schemas: IDS and other schemas, if there are any.
        now: Returns the time, ISO 8601 in UTC.
        clock: Returns seconds since the epoch.
        sleep: Waits for a number of seconds.
        new_id: Returns an identifier that nothing else has.
        cache_dir: Folder for what may be kept between runs.
    """

    lake: LocalLake
    executor: Callable[[str, ExecutorOptions], Executor]
    secret_backend: Callable[[str], SecretBackend]
    schemas: SchemaSource | None
    now: Callable[[], str]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    new_id: Callable[[], str]
    cache_dir: Path


@frozen(kw_only=True)
class RunRequest:
    """What a person asked to run.

    Attributes:
        protocol: The protocol, valid.
        protocol_path: Where it is from.
        versions: The task script of each task that it names.
        folders: Folder that each task script was taken from, by its digest.
        input_file: The file that the workflow is started for, or None.
        input_path: Where that is from.
        config: Texts by config key.
        secrets: Sources by config key.
        executor: Name of the executor.
        options: How it is to treat tasks.
        confinement: Surroundings of tasks.
        lake: Folder of further files, or None.
        ids: Folder of schemas, or None.
        place: Where tasks are told that they run.
        bucket: Bucket of files that belong to no input file.
        secret_paths: What tasks know secrets by, by config key, where a workflow of
            somewhere else has set that.
    """

    protocol: Protocol
    protocol_path: str
    versions: Mapping[TaskReference, ScriptVersion]
    folders: Mapping[str, str]
    input_file: FileRecord | None
    input_path: str | None
    config: Mapping[str, str]
    secrets: Mapping[str, SecretSource]
    executor: str
    options: ExecutorOptions
    confinement: Confinement = Confinement()
    lake: str | None = None
    ids: str | None = None
    place: Place = Place()
    bucket: str = "local"
    secret_paths: Mapping[str, str] = field(default_factory=dict)


@frozen
class WorkflowState:
    """A workflow, and what has come of it so far.

    Attributes:
        workflow: Its state.
        attempts: The records of its attempts in earlier runs, by step.
    """

    workflow: Workflow
    attempts: Mapping[int, Sequence[Mapping[str, Any]]]


@frozen
class RunResult:
    """A finished workflow.

    Attributes:
        workflow: Its final state.
        record: Its record, for ``workflow.json``.
    """

    workflow: Workflow
    record: Mapping[str, Any]


def run_local(request: RunRequest, *, ports: RunPorts, reporter: Reporter) -> RunResult:
    """Run a protocol from its first step to its end.

    Raises:
        ConfigError: A value or the input file is missing, unknown or of a wrong type.
        SettingsError: A secret is missing or cannot be masked.
        UserError: A task script's environment cannot be made.
        PlatformError: An attempt could not be started.
    """
    protocol, path = request.protocol, request.protocol_path
    values = read_values(request.config, protocol, secrets=request.secrets, path=path)
    if request.input_file is None and TriggerType.SCHEDULED not in protocol.triggers:
        raise ConfigError(
            "the protocol is for files, and no input file was given",
            where=Location(path),
            hint="add --input FILE",
        )
    session = _Session(request, ports)
    workflow = create_workflow(
        protocol,
        workflow_id=ports.new_id(),
        started_at=ports.now(),
        input_file=input_file_value(request.input_file) if request.input_file else None,
        config={**values, **session.secrets.references()},
        pipeline_id="local",
        step_defaults=[
            StepDefaults(memory_mb=request.versions[step.task].script.memory_mb)
            for step in protocol.steps
        ],
        confinement=request.confinement,
    )
    state = WorkflowState(workflow, {})
    return session.drive(state, WorkflowStarted(), reporter=reporter, renew=True)


def retry_local(
    failed: WorkflowState, request: RunRequest, *, ports: RunPorts, reporter: Reporter
) -> RunResult:
    """Run a failed workflow on, from the step that failed, with all that it was pinned to.

    Args:
        failed: The workflow as it ended.
        request: What it was pinned to.
        ports: The adapters.
        reporter: Told of all progress.
    """
    return drive_local(failed, RetryRequested(), request=request, ports=ports, reporter=reporter)


def drive_local(
    state: WorkflowState,
    event: Event,
    *,
    request: RunRequest,
    ports: RunPorts,
    reporter: Reporter,
) -> RunResult:
    """Run a workflow on from any state that it is in, to its end.

    Args:
        state: The workflow.
        event: What happens to it next.
        request: What it is pinned to.
        ports: The adapters.
        reporter: Told of all progress.

    Raises:
        SettingsError: A secret is missing or cannot be masked.
        UserError: A task script's environment cannot be made.
        PlatformError: An attempt could not be started.
    """
    return _Session(request, ports).drive(state, event, reporter=reporter)


class _Session:
    """One workflow's adapters, from the first attempt to the record."""

    def __init__(self, request: RunRequest, ports: RunPorts) -> None:
        self._request = request
        self._ports = ports
        self._masker = Masker()
        self.secrets = RunSecrets(
            request.secrets,
            backend=ports.secret_backend,
            masker=self._masker,
            paths=request.secret_paths,
        )
        self.secrets.check()

    def drive(
        self, state: WorkflowState, event: Event, *, reporter: Reporter, renew: bool = False
    ) -> RunResult:
        request, ports = self._request, self._ports
        executor = ports.executor(request.executor, request.options)
        try:
            self._prepare(executor, renew=renew)
            runner = WorkflowRunner(
                platform=self._platform(executor),
                secrecy=Secrecy(self.secrets, self._masker),
                versions=request.versions,
                reporter=reporter,
                clock=ports.clock,
                sleep=ports.sleep,
                place=request.place,
                environments={
                    step: str(attempts[-1]["environment"])
                    for step, attempts in state.attempts.items()
                    if attempts
                },
            )
            workflow = runner.run(state.workflow, event)
        finally:
            executor.close()
        record = workflow_record(
            workflow,
            self._origin(state.attempts),
            attempts=runner.attempts,
            finished_at=ports.now(),
            masker=self._masker,
        )
        return RunResult(workflow, record)

    def _prepare(self, executor: Executor, *, renew: bool) -> None:
        """Make all environments before the first step, and let its worker start."""
        prepare = partial(executor.prepare, renew=renew)
        request = self._request
        for step in request.protocol.steps[:1]:
            self._of_its_folder(executor.warm_up, request.versions[step.task])
        for version in request.versions.values():
            self._of_its_folder(prepare, version)

    def _of_its_folder(
        self, act: Callable[[ScriptVersion], object], version: ScriptVersion
    ) -> None:
        """Do something with a version; name the folder that it was taken from in errors."""
        try:
            act(version)
        except UserError as error:
            if error.where and not os.path.isabs(error.where.path):
                folder = self._request.folders[version.digest]
                error.where = replace(error.where, path=os.path.join(folder, error.where.path))
            raise

    def _platform(self, executor: Executor) -> Platform:
        ports = self._ports
        return Platform(
            executor=executor,
            catalog=ports.lake.catalog,
            store=ports.lake.store,
            schemas=ports.schemas,
            now=ports.now,
            new_id=ports.new_id,
            bucket=self._request.bucket,
        )

    def _origin(self, earlier: Mapping[int, Sequence[Mapping[str, Any]]]) -> Origin:
        request = self._request
        return Origin(
            protocol_path=request.protocol_path,
            input_path=request.input_path,
            input_sha256=self._input_sha256(),
            scripts=[request.versions[step.task] for step in request.protocol.steps],
            folders=request.folders,
            secret_sources={
                key: f"{source.backend}:{source.name}" for key, source in request.secrets.items()
            },
            executor=request.executor,
            options=request.options,
            lake=request.lake,
            ids=request.ids,
            earlier_attempts=earlier,
        )

    def _input_sha256(self) -> str:
        record = self._request.input_file
        if record is None:
            return ""
        return record.sha256 or self._ports.lake.store.digest(record.blob)

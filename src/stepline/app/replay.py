"""From a workflow that a service has recorded to a run of the same on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias
from typing import Protocol as TypingProtocol

from stepline.app.artifact_contents import protocol_file, take_in, temporary_folder
from stepline.app.attempt_plans import Place
from stepline.app.load import load_protocol, load_task_script
from stepline.app.replay_secrets import RecordedSecrets, recorded_secrets
from stepline.app.run_local import RunRequest, WorkflowState
from stepline.app.run_plan import Machine, pin_local
from stepline.app.task_scripts import find_scripts
from stepline.engine import create_workflow
from stepline.engine.events import Event, RetryDue, WorkflowStarted
from stepline.errors import ConfigError, Location, PlatformError, ProtocolError
from stepline.expressions.suggest import nearest_of_all
from stepline.frozen import frozen
from stepline.model.protocol import Protocol, TaskReference
from stepline.model.workflow import (
    RetryPolicy,
    StepDefaults,
    StepState,
    StepStatus,
    Workflow,
    WorkflowStatus,
)
from stepline.parsing import Parsed
from stepline.parsing.references import match_task_script
from stepline.ports.executor import ScriptVersion

Plain: TypeAlias = Mapping[str, Any]


class RecordingService(TypingProtocol):
    """A service that has recorded workflows; nothing is written to it."""

    org: str
    """Slug of the organisation."""
    url: str
    """Address of the platform, without the path of its API."""

    def workflow(self, workflow_id: str) -> Plain:
        """Return a workflow with its tasks and their attempts.

        Raises:
            UserError: There is none with this id.
        """

    def pins(self, workflow_id: str) -> Plain:
        """Return what a workflow is pinned to.

        Raises:
            UserError: There is none with this id.
        """

    def source(self, digest: str, target: Path) -> None:
        """Write the archive of an artifact's content.

        Raises:
            UserError: Nothing with this digest is known.
        """

    def file_info(self, file_id: str) -> Plain | None:
        """Return the record of a file version, or None where there is none any more."""

    def content(self, info: Plain, target: Path) -> None:
        """Write the bytes of a file version, verified."""


@frozen(kw_only=True)
class ReplayWords:
    """A request for a replay, as typed.

    Attributes:
        workflow_id: The recorded workflow.
        step: Id, or number from 1, of the only step to run; None for all.
        secrets: ``backend:name`` by config key; the others are placeholders.
        task_scripts: Folder of task scripts to run instead of the recorded ones, or None.
    """

    workflow_id: str
    step: str | None
    secrets: Mapping[str, str]
    task_scripts: Path | None


@frozen(kw_only=True)
class Recorded:
    """A recorded workflow, as far as it is run again.

    Attributes:
        workflow: It, as the service shows it.
        pins: What it is pinned to.
        steps: Indexes of the steps that are run again.
    """

    workflow: Plain
    pins: Plain
    steps: Sequence[int]

    def task(self, index: int) -> Plain:
        """Return what is recorded of a step."""
        task: Plain = self.workflow["tasks"][index]
        return task

    def reads(self) -> Iterator[Plain]:
        """Yield all that the recorded attempts of these steps have read."""
        for index in self.steps:
            for attempt in self.task(index)["attempts"]:
                yield from attempt["reads"]

    def status(self, index: int) -> str:
        """Return the recorded status of a step, as `StepStatus` has it."""
        return str(self.pins["steps"][index]["status"])


@frozen(kw_only=True)
class Replay:
    """A replay that is ready to be run, but for its files.

    Attributes:
        recorded: What is run again.
        request: What it is pinned to here.
        state: The workflow to run.
        event: What it begins with.
    """

    recorded: Recorded
    request: RunRequest
    state: WorkflowState
    event: Event

    @property
    def names(self) -> list[str]:
        """Names of the steps that are run."""
        return [str(self.recorded.task(index)["name"]) for index in self.recorded.steps]


@contextmanager
def understood(workflow_id: str) -> Iterator[None]:
    """Say whose fault it is where what a service has recorded cannot be read.

    Raises:
        PlatformError: It is not as we expect.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise PlatformError(
            f"the service's record of workflow {workflow_id} cannot be understood: "
            f"{type(error).__name__}: {error}",
            hint="is the service of the same version as this command? see stepline --version",
        ) from error


def plan_replay(
    words: ReplayWords,
    service: RecordingService,
    *,
    machine: Machine,
    new_id: Callable[[], str],
) -> Replay:
    """Return what a request means: everything as recorded, fetched and verified.

    Args:
        words: The request.
        service: Where the workflow is recorded.
        machine: This machine.
        new_id: Returns an identifier that nothing else has.

    Raises:
        UserError: There is no such workflow or step, or a word is not usable.
        PlatformError: What the service sent is not what the workflow was pinned to.
    """
    with understood(words.workflow_id):
        return _plan(words, service, machine=machine, new_id=new_id)


def _plan(
    words: ReplayWords,
    service: RecordingService,
    *,
    machine: Machine,
    new_id: Callable[[], str],
) -> Replay:
    workflow, pins = service.workflow(words.workflow_id), service.pins(words.workflow_id)
    whole = _protocol(pins, service, cache_dir=machine.cache_dir)
    steps = range(len(whole.steps))
    if words.step is not None:
        steps = range(found := _step_index(whole, words.step), found + 1)
    recorded = Recorded(workflow=workflow, pins=pins, steps=steps)
    protocol = whole if words.step is None else _only(whole, steps[0])
    versions, folders = _versions(recorded, protocol, service=service, machine=machine)
    if words.task_scripts is not None:
        own, homes = _own_versions(protocol, words.task_scripts, machine=machine)
        versions, folders = {**versions, **own}, {**folders, **homes}
    secrets = recorded_secrets(pins["config"], recorded.reads(), given=words.secrets)
    request = _request(recorded, protocol, service=service, secrets=secrets, machine=machine)
    request = replace(request, versions=versions, folders=folders)
    state = _workflow(recorded, request, workflow_id=new_id())
    if words.step is None:
        event: Event = WorkflowStarted()
    else:
        state, event = _at_its_attempt(state, recorded), RetryDue(step=0, attempt=1)
    return Replay(recorded=recorded, request=request, state=WorkflowState(state, {}), event=event)


def _request(
    recorded: Recorded,
    protocol: Protocol,
    *,
    service: RecordingService,
    secrets: RecordedSecrets,
    machine: Machine,
) -> RunRequest:
    """Return the request without task scripts."""
    workflow, pins = recorded.workflow, recorded.pins
    input_file = pins["inputFile"] or {}
    return RunRequest(
        protocol=protocol,
        protocol_path=pins["protocol"]["name"] or pins["protocol"]["digest"],
        versions={},
        folders={},
        input_file=None,
        input_path=None,
        config={},
        secrets=secrets.sources,
        secret_paths=secrets.paths,
        executor=machine.executor,
        options=machine.options,
        place=Place(
            org=service.org,
            pipeline_name=workflow["pipelineName"],
            url=service.url,
            api_url=f"{service.url}/v1",
        ),
        bucket=input_file.get("bucket") or "stepline",
    )


def _workflow(recorded: Recorded, request: RunRequest, *, workflow_id: str) -> Workflow:
    """Return the workflow at its beginning, with the limits of the recorded attempts."""
    limits = [recorded.task(index) for index in recorded.steps]
    recorded_mb = [task["taskMemoryInMB"] or 0 for task in limits]
    retry = RetryPolicy()
    return create_workflow(
        request.protocol,
        workflow_id=workflow_id,
        # Expressions and functions can ask for it, and must see the same.
        started_at=recorded.workflow["createdAt"],
        input_file=recorded.pins["inputFile"],
        config=recorded.pins["config"],
        pipeline_id=recorded.workflow["pipelineId"],
        retry=replace(retry, max_memory_mb=max(retry.max_memory_mb, *recorded_mb)),
        step_defaults=[
            StepDefaults(
                memory_override_mb=task["taskMemoryInMB"],
                memory_mb=request.versions[step.task].script.memory_mb,
                timeout_s=task["timeoutInSec"],
            )
            for step, task in zip(request.protocol.steps, limits, strict=True)
        ],
    )


def _at_its_attempt(workflow: Workflow, recorded: Recorded) -> Workflow:
    """Return a workflow of one step that is about to be attempted with its recorded input."""
    (index,) = recorded.steps
    task = recorded.task(index)
    if not task["attempt"]:
        raise ConfigError(
            f"the step '{task['name']}' was never attempted (it is {recorded.status(index)}), "
            "so there is no recorded input",
            hint="leave --step out, or name a step that ran",
        )
    waiting = StepState(
        status=StepStatus.WAITING,
        memory_mb=task["taskMemoryInMB"],
        timeout_s=task["timeoutInSec"],
        input=recorded.pins["steps"][index]["input"],
    )
    return replace(workflow, status=WorkflowStatus.IN_PROGRESS, steps=(waiting,))


def _step_index(protocol: Protocol, word: str) -> int:
    names = [step.name for step in protocol.steps]
    if word in names:
        return names.index(word)
    if word.isdecimal() and 1 <= int(word) <= len(names):
        return int(word) - 1
    hint = nearest_of_all(word, names, those="its steps are")
    raise ConfigError(f"the workflow has no step '{word}'", hint=f"{hint}, or 1 to {len(names)}")


def _only(protocol: Protocol, index: int) -> Protocol:
    """Return a protocol of one step, which runs and decides how the workflow ends."""
    step = replace(protocol.steps[index], index=0, condition=True, continue_on_error=False)
    return replace(protocol, steps=(step,), success_when=None, on_failed=None, has_on_failed=False)


def _protocol(pins: Plain, service: RecordingService, *, cache_dir: Path) -> Protocol:
    digest = pins["protocol"]["digest"]
    path = protocol_file(_folder(digest, service, cache_dir=cache_dir))
    if path is None:
        raise ProtocolError(f"the artifact {digest} holds no protocol")
    return load_protocol(path, cache_dir).unwrap(ProtocolError)


def _versions(
    recorded: Recorded, protocol: Protocol, *, service: RecordingService, machine: Machine
) -> tuple[dict[TaskReference, ScriptVersion], dict[str, str]]:
    """Return the recorded task script of each task, and the folders by digest."""
    versions: dict[TaskReference, ScriptVersion] = {}
    folders: dict[str, str] = {}
    for step, index in zip(protocol.steps, recorded.steps, strict=True):
        pin = recorded.pins["steps"][index]
        folder = _folder(pin["digest"], service, cache_dir=machine.cache_dir)
        script = load_task_script(folder, machine.cache_dir).unwrap(ConfigError)
        runtime = script.runtime or machine.default_runtime
        versions[step.task] = ScriptVersion(
            pin["taskScript"], pin["digest"], str(folder), script, runtime
        )
        folders[pin["digest"]] = str(folder)
    return versions, folders


def _own_versions(
    protocol: Protocol, folder: Path, *, machine: Machine
) -> tuple[Mapping[TaskReference, ScriptVersion], Mapping[str, str]]:
    """Return the task scripts of a local folder, for those steps that mean one of them."""
    scripts, _ = find_scripts(
        folder,
        load_script=lambda home: load_task_script(home, machine.cache_dir),
        load_manifest=lambda path: _manifest(path, machine.cache_dir),
    )
    steps = tuple(step for step in protocol.steps if match_task_script(step.task, scripts)[0])
    if not steps:
        raise ConfigError(
            "no task script in it is that of a step that is run",
            where=Location(str(folder)),
            hint=f"the steps mean {', '.join(str(step.task) for step in protocol.steps)}",
        )
    versions, folders = pin_local(
        Parsed(replace(protocol, steps=steps)), folder, machine=machine, named_by_folder=True
    )
    for step in steps:
        home = folders[versions[step.task].digest]
        machine.warn(f"step '{step.task.function}' runs {home}, not what was recorded")
    return versions, folders


def _manifest(path: Path, cache_dir: Path) -> Any:
    from stepline.app.load import load_manifest

    return load_manifest(path, cache_dir)


def _folder(digest: str, service: RecordingService, *, cache_dir: Path) -> Path:
    """Return a read-only folder with the content of a digest, fetched if it is not kept.

    Raises:
        PlatformError: What the service sent has another digest.
    """
    from stepline.app.code_store import stored_code

    kept = stored_code(digest, cache_dir)
    if kept is not None:
        return kept
    with temporary_folder(cache_dir) as folder:
        folder.mkdir(parents=True)
        archive = folder / "source.zip"
        service.source(digest, archive)
        found, kept = take_in(archive, cache_dir)
    if found != digest:
        raise PlatformError(
            f"the workflow is pinned to {digest}, and the service sent {found} under that name",
            hint="the service's store is damaged: look at its folder files",
        )
    return kept

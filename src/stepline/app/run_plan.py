"""From the words of a command to what exactly is to be run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stepline.app.code_store import stored_code
from stepline.app.load import load_manifest, load_protocol, load_task_script, restore_protocol
from stepline.app.pinning import pin_scripts
from stepline.app.project_layout import (
    PROTOCOL_FILES,
    PROTOCOLS_FOLDER,
    SCRIPTS_FOLDER,
    scripts_folder,
)
from stepline.app.run_local import RunRequest, WorkflowState
from stepline.app.run_secrets import parse_source
from stepline.app.task_scripts import find_scripts, match_steps
from stepline.app.workflow_record import restore_workflow
from stepline.errors import ConfigError, Location, Problem, ProtocolError
from stepline.frozen import frozen
from stepline.model.file import FilePointer, FileRecord
from stepline.model.protocol import COMMON, Protocol, TaskReference
from stepline.model.task import Confinement, Isolation
from stepline.model.values import Json
from stepline.parsing import Parsed
from stepline.parsing.references import LocalTaskScript
from stepline.ports.executor import ExecutorOptions, ScriptVersion
from stepline.ports.lake import LocalLake


@frozen(kw_only=True)
class Machine:
    """What planning needs to know of this machine and its settings.

    Attributes:
        cache_dir: Folder for what may be kept between runs.
        default_runtime: Python, ``3.N``, for task scripts that name none.
        lake: Files.
        executor: Name of the executor.
        options: How it is to treat tasks.
        confinement: Surroundings of tasks.
        warn: Told what the author should know.
    """

    cache_dir: Path
    default_runtime: str
    lake: LocalLake
    executor: str
    options: ExecutorOptions
    warn: Callable[[str], None]
    confinement: Confinement = Confinement()


@frozen(kw_only=True)
class RunWords:
    """A request to run a protocol, as typed.

    Attributes:
        protocol: A protocol's file, or the folder that holds it.
        input_path: The input file, or None.
        task_scripts: Folder of task scripts, or None for the project's own.
        config: Texts by config key.
        secrets: ``backend:name`` by config key.
        lake: Folder of further files, or None.
        ids: Folder of schemas, or None.
    """

    protocol: Path
    input_path: Path | None
    task_scripts: Path | None
    config: Mapping[str, str]
    secrets: Mapping[str, str]
    lake: Path | None = None
    ids: Path | None = None


def protocol_file(path: Path) -> Path:
    """Return the file of a protocol that is named by its file or its folder.

    Raises:
        ProtocolError: There is none.
    """
    if path.is_file():
        return path
    shipped = _shipped_path(path, PROTOCOLS_FOLDER)
    for name in PROTOCOL_FILES:
        if (shipped / name).is_file():
            return shipped / name
    what = f"the folder holds no {PROTOCOL_FILES[0]}" if path.is_dir() else "there is no such file"
    raise ProtocolError(
        what, where=Location(str(path)), hint="name a protocol.yml, or the folder that holds it"
    )


def _shipped_path(path: Path, kind: str) -> Path:
    """Return where ``common/SLUG`` is that travels with Stepline; any other path as it is."""
    if path.parts[:1] != (COMMON,):
        return path
    from stepline.app.common import shipped_path

    return shipped_path(path, kind)


def plan_run(words: RunWords, machine: Machine) -> RunRequest:
    """Return what a request means: a valid protocol, pinned task scripts, a visible file.

    Raises:
        UserError: A file or word is not usable.
        PlatformError: The cache cannot be written.
    """
    path = protocol_file(words.protocol)
    parsed = load_protocol(path, machine.cache_dir)
    protocol = parsed.unwrap(ProtocolError)
    for problem in parsed.problems:
        machine.warn(f"{problem.where}: {problem.message}")
    versions, folders = pin_local(
        parsed, words.task_scripts or _project_scripts(path, protocol), machine=machine
    )
    record = machine.lake.add_input(words.input_path) if words.input_path else None
    return RunRequest(
        protocol=protocol,
        protocol_path=str(path),
        versions=versions,
        folders=folders,
        input_file=record,
        input_path=str(words.input_path) if words.input_path else None,
        config=words.config,
        secrets={key: parse_source(key, text) for key, text in words.secrets.items()},
        executor=machine.executor,
        options=machine.options,
        confinement=machine.confinement,
        lake=str(words.lake) if words.lake else None,
        ids=str(words.ids) if words.ids else None,
    )


def _project_scripts(path: Path, protocol: Protocol) -> Path | None:
    """Return the project's folder of task scripts; None where no step needs one."""
    folder = scripts_folder(path)
    if folder is None and any(step.task.namespace != COMMON for step in protocol.steps):
        raise ConfigError(
            f"no folder {SCRIPTS_FOLDER} was found beside or above the protocol",
            where=Location(str(path)),
            hint="name it with --task-scripts DIR",
        )
    return folder


def pin_local(
    parsed: Parsed[Protocol],
    folder: Path | None,
    *,
    machine: Machine,
    named_by_folder: bool = False,
) -> tuple[Mapping[TaskReference, ScriptVersion], Mapping[str, str]]:
    """Pin the task scripts of a local folder for all steps of a protocol.

    What is not there may be among those that travel with Stepline.

    Args:
        parsed: The protocol.
        folder: A folder of task scripts, or of one; None: there are only those that travel
            with Stepline.
        machine: This machine.
        named_by_folder: The script was named, so how it differs is no news, and no other
            will do.

    Returns:
        The task script of each task, and the folder that each is from, by its digest.

    Raises:
        ConfigError: A task script is not valid, or there is none.
        ArtifactNotFound: A task script or function is not there.
        PlatformError: The cache cannot be written.
    """
    scripts, problems = _find_scripts(folder, machine) if folder else ([], [])
    tasks = () if named_by_folder else [step.task for step in parsed.unwrap(ProtocolError).steps]
    if any(task.namespace == COMMON for task in tasks):
        shipped, more = _shipped_scripts(machine)
        scripts, problems = [*scripts, *shipped], [*problems, *more]
    matches, warnings = match_steps(parsed, scripts)
    used = tuple(f"{script.path}/" for script in matches.values())
    concerned = [problem for problem in problems if problem.where.path.startswith(used)]
    if broken := [problem for problem in concerned if problem.severity == "error"]:
        what = f"{len(broken)} errors in task scripts"
        raise ConfigError(what, where=broken[0].where, problems=broken)
    pinned = pin_scripts(
        matches, default_runtime=machine.default_runtime, cache_dir=machine.cache_dir
    )
    for problem in (*(() if named_by_folder else warnings), *concerned):
        machine.warn(f"{problem.where}: {problem.message}")
    return pinned.versions, pinned.folders


def _find_scripts(folder: Path, machine: Machine) -> tuple[list[LocalTaskScript], list[Problem]]:
    return find_scripts(
        folder,
        load_script=lambda home: load_task_script(home, machine.cache_dir),
        load_manifest=lambda path: load_manifest(path, machine.cache_dir),
    )


def _shipped_scripts(machine: Machine) -> tuple[list[LocalTaskScript], list[Problem]]:
    """Return the task scripts that travel with Stepline, and their problems."""
    from stepline.app.common import shipped_scripts

    folder = shipped_scripts()
    scripts, problems = _find_scripts(folder, machine) if folder else ([], [])
    return [replace(script, shipped=True) for script in scripts], problems


def plan_retry(
    record: Mapping[str, Any], machine: Machine, *, path: Path, secrets: Mapping[str, str]
) -> tuple[WorkflowState, RunRequest]:
    """Return a recorded workflow, and what it was pinned to.

    Args:
        record: The record of the workflow that failed.
        machine: This machine; its files hold the workflow's own, and those that it read.
        path: Where the record is from, for messages.
        secrets: Sources that take the place of the recorded ones.

    Returns:
        The workflow as it ended, and the request for going on with it.

    Raises:
        ConfigError: The workflow did not fail, or what it was pinned to is no longer there
            unchanged.
    """
    if "replayOf" in record:
        raise ConfigError(
            "this is the record of a replay, which is not retried",
            where=Location(str(path)),
            hint=f"stepline replay {record['replayOf']['workflowId']}",
        )
    if record["status"] == "completed":
        raise ConfigError(
            "the workflow completed; there is nothing to retry", where=Location(str(path))
        )
    protocol = restore_protocol(record["protocol"]["document"])
    versions, folders = _recorded_versions(record, protocol, machine)
    scripts = [versions[step.task].script for step in protocol.steps]
    workflow = restore_workflow(record, protocol, scripts=scripts)
    sources = {**record["secrets"], **secrets}
    executor = record["executor"]
    request = RunRequest(
        protocol=protocol,
        protocol_path=record["protocol"]["path"],
        versions=versions,
        folders=folders,
        input_file=_recorded_input(record, machine),
        input_path=record["input"]["path"],
        config={},
        secrets={key: parse_source(key, text) for key, text in sources.items()},
        executor=executor["name"],
        options=ExecutorOptions(
            task_env=executor["taskEnv"],
            isolation=Isolation(executor["isolation"]),
            allow_before_install=executor["allowBeforeInstall"],
        ),
        confinement=workflow.confinement,
        lake=record["lake"],
        ids=record["ids"],
    )
    attempts = dict(enumerate(step["attempts"] for step in record["steps"]))
    return WorkflowState(workflow, attempts), request


def _recorded_versions(
    record: Mapping[str, Any], protocol: Protocol, machine: Machine
) -> tuple[dict[TaskReference, ScriptVersion], dict[str, str]]:
    versions: dict[TaskReference, ScriptVersion] = {}
    folders: dict[str, str] = {}
    for step, entry in zip(protocol.steps, record["steps"], strict=True):
        script = entry["taskScript"]
        kept = stored_code(script["digest"], machine.cache_dir)
        if kept is None:
            raise ConfigError(
                f"the code of {script['name']} that step '{step.name}' ran "
                f"({script['digest']}) is no longer kept here",
                hint="run without --retry",
            )
        versions[step.task] = ScriptVersion(
            name=script["name"],
            digest=script["digest"],
            folder=str(kept),
            script=load_task_script(kept, machine.cache_dir).unwrap(ConfigError),
            runtime=script["runtime"],
        )
        folders[script["digest"]] = script["folder"]
    return versions, folders


def _recorded_input(record: Mapping[str, Any], machine: Machine) -> FileRecord | None:
    """Return the recorded input file, which must still have the same bytes."""
    if record["input"]["path"] is None:
        return None
    path = Path(record["input"]["path"])
    known_as = FilePointer.from_plain(record["input"]["file"])
    found = machine.lake.add_input(path, known_as=known_as)
    if machine.lake.store.digest(found.blob) != record["input"]["sha256"]:
        raise ConfigError(
            "the input file is not what it was when the workflow was started",
            where=Location(str(path)),
            hint="put the old file back, or run without --retry",
        )
    return found


def plan_call(
    folder: Path,
    function: str,
    *,
    machine: Machine,
    value: Mapping[str, Json],
    files: Mapping[str, Path],
    config: Mapping[str, str],
    secrets: Mapping[str, str],
) -> RunRequest:
    """Return a one-step run that calls one function of a task script.

    Args:
        folder: The task script; ``common/SLUG`` is one that travels with Stepline.
        function: Slug of the function.
        machine: This machine.
        value: The function's input; expressions in it are evaluated.
        files: Files whose pointers are put into the input, by name; the first is the
            workflow's input file.
        config: Texts by config key; every key is taken, as a string.
        secrets: ``backend:name`` by config key.

    Raises:
        UserError: A file or word is not usable.
        PlatformError: The cache cannot be written.
    """
    folder = _shipped_path(folder, SCRIPTS_FOLDER)
    records = {name: machine.lake.add_input(path) for name, path in files.items()}
    pointers = {name: record.pointer.to_plain() for name, record in records.items()}
    protocol = _call_protocol(folder, function, {**value, **pointers}, config, secrets)
    parsed = Parsed(protocol, path=str(folder))
    versions, folders = pin_local(parsed, folder, machine=machine, named_by_folder=True)
    first = next(iter(files), None)
    return RunRequest(
        protocol=protocol,
        protocol_path=str(folder),
        versions=versions,
        folders=folders,
        input_file=records[first] if first else None,
        input_path=str(files[first]) if first else None,
        config=config,
        secrets={key: parse_source(key, text) for key, text in secrets.items()},
        executor=machine.executor,
        options=machine.options,
        confinement=machine.confinement,
    )


def _call_protocol(
    folder: Path,
    function: str,
    value: Mapping[str, Json],
    config: Mapping[str, str],
    secrets: Mapping[str, str],
) -> Protocol:
    document: dict[str, Any] = {
        "protocolSchema": "v3",
        "constraints": {"trigger": {"type": ["file", "scheduled"]}},
        "config": {
            **{key: {"label": key, "type": "string"} for key in config},
            **{key: {"label": key, "type": "secret"} for key in secrets},
        },
        "steps": [
            {
                "id": function,
                "task": {
                    "namespace": "private-local",
                    "slug": folder.resolve().name,
                    "version": "v0.0.0",
                    "function": function,
                },
                "input": dict(value),
            }
        ],
    }
    text = json.dumps(document)
    if "$(" in text:
        _check_expressions(text)
    return restore_protocol(document)


def _check_expressions(document: str) -> None:
    """Refuse an input with an expression that means nothing."""
    from stepline.parsing.protocol import parse_protocol

    if errors := parse_protocol(document, path="protocol.json").errors:
        what = "; ".join(f"{error.expression}: {error.message}" for error in errors)
        raise ConfigError(f"--input: {what}", hint=errors[0].hint)

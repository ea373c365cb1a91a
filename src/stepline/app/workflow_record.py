"""The record of a workflow: all that it used and what came of it, as plain data.

``workflow.json`` is this. It holds no secret's value: secrets stand in it as references,
and everything else has been masked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from stepline.app.attempts import attempt_plain
from stepline.app.masking import Masker
from stepline.app.workflow_runner import StepAttempt
from stepline.errors import ConfigError, Location
from stepline.frozen import frozen
from stepline.model.protocol import Protocol
from stepline.model.task import Confinement
from stepline.model.task_script import TaskScript
from stepline.model.workflow import StepDefaults, StepState, StepStatus, Workflow, WorkflowStatus
from stepline.ports.executor import ExecutorOptions, ScriptVersion

FORMAT = 1


@frozen(kw_only=True)
class Origin:
    """Where all that a workflow was pinned to came from.

    Attributes:
        protocol_path: File of the protocol.
        input_path: File of the input, or None.
        input_sha256: Hex digest of the input's bytes.
        scripts: Task script of each step, in order.
        folders: Folder that each task script was taken from, by its digest.
        secret_sources: ``backend:name`` by config key.
        executor: Name of the executor.
        options: How the executor treated tasks.
        lake: Folder of further files, or None.
        ids: Folder of schemas, or None.
    """

    protocol_path: str
    input_path: str | None
    input_sha256: str
    scripts: Sequence[ScriptVersion]
    folders: Mapping[str, str]
    secret_sources: Mapping[str, str]
    executor: str
    options: ExecutorOptions
    lake: str | None = None
    ids: str | None = None
    earlier_attempts: Mapping[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


def protocol_digest(protocol: Protocol) -> str:
    """Return the SHA-256 of a protocol's canonical document."""
    text = json.dumps(protocol.document, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def workflow_record(
    workflow: Workflow,
    origin: Origin,
    *,
    attempts: Iterable[StepAttempt],
    finished_at: str,
    masker: Masker,
) -> dict[str, Any]:
    """Return the record of a finished workflow."""
    attempts = list(attempts)
    options = origin.options
    record = {
        "format": FORMAT,
        "id": workflow.id,
        "pipelineId": workflow.pipeline_id,
        "status": workflow.status.value,
        "startedAt": workflow.started_at,
        "finishedAt": finished_at,
        "output": workflow.output,
        "error": workflow.error,
        "protocol": {
            "path": origin.protocol_path,
            "digest": protocol_digest(workflow.protocol),
            "document": workflow.protocol.document,
        },
        "config": dict(workflow.config),
        "secrets": dict(origin.secret_sources),
        "input": {
            "path": origin.input_path,
            "sha256": origin.input_sha256,
            "file": workflow.input_file,
        },
        "lake": origin.lake,
        "ids": origin.ids,
        "executor": {
            "name": origin.executor,
            "isolation": options.isolation.value,
            "taskEnv": dict(options.task_env),
            "allowBeforeInstall": options.allow_before_install,
            "limits": workflow.confinement.to_plain(),
        },
        "steps": [
            _step(workflow, index, origin, [a for a in attempts if a.step == index])
            for index in range(len(workflow.steps))
        ],
    }
    masked: dict[str, Any] = masker.value(record)
    return masked


def _step(
    workflow: Workflow, index: int, origin: Origin, attempts: list[StepAttempt]
) -> dict[str, Any]:
    step, state, version = (
        workflow.protocol.steps[index],
        workflow.steps[index],
        origin.scripts[index],
    )
    earlier = list(origin.earlier_attempts.get(index, ()))
    return {
        "id": step.id,
        "name": step.name,
        "function": step.task.function,
        "taskScript": {
            "name": version.name,
            "digest": version.digest,
            "runtime": version.runtime,
            "folder": origin.folders[version.digest],
        },
        "status": state.status.value,
        "input": state.input,
        "output": state.output,
        "error": state.error,
        "memoryInMB": state.memory_mb,
        "timeoutInSec": state.timeout_s,
        "attempt": state.attempt,
        "attempts": earlier + [_attempt(attempt) for attempt in attempts],
    }


def _attempt(attempt: StepAttempt) -> dict[str, Any]:
    return {
        "attempt": attempt.attempt,
        "kind": attempt.record.outcome.kind.value,
        **attempt_plain(attempt.record),
    }


def read_record(path: Path) -> dict[str, Any]:
    """Read a ``workflow.json``.

    Raises:
        ConfigError: There is none, or it is not one that this version can read.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            "there is no record of a workflow to retry",
            where=Location(str(path)),
            hint="name the --out folder of the run that failed",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"the record cannot be read: {error}", where=Location(str(path))
        ) from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ConfigError(
            "this is not a record that this version of Stepline can read",
            where=Location(str(path)),
        )
    return record


def restore_workflow(
    record: Mapping[str, Any], protocol: Protocol, *, scripts: Sequence[TaskScript] = ()
) -> Workflow:
    """Return the workflow of a record, in the state in which it ended.

    Args:
        record: The record.
        protocol: The protocol that is in it.
        scripts: Task script of each step, in order, for the limits that they set.
    """
    return Workflow(
        id=record["id"],
        protocol=protocol,
        input_file=record["input"]["file"],
        config=record["config"],
        pipeline_id=record["pipelineId"],
        step_defaults=tuple(StepDefaults(memory_mb=script.memory_mb) for script in scripts),
        confinement=Confinement.from_plain(record["executor"].get("limits", {})),
        status=WorkflowStatus(record["status"]),
        steps=tuple(_restored_step(step) for step in record["steps"]),
        started_at=record["startedAt"],
        output=record["output"],
        error=record["error"],
    )


def _restored_step(step: Mapping[str, Any]) -> StepState:
    return StepState(
        status=StepStatus(step["status"]),
        attempt=step["attempt"],
        memory_mb=step["memoryInMB"],
        timeout_s=step["timeoutInSec"],
        input=step["input"],
        output=step["output"],
        error=step["error"],
    )

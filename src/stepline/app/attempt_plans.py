"""Plans of attempts: what a workflow's command means for one task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepline import __version__
from stepline.app.attempts import AttemptPlan
from stepline.engine import effective_config
from stepline.engine.events import StartTask
from stepline.frozen import frozen
from stepline.model.task import Limits
from stepline.model.values import Json
from stepline.model.workflow import Workflow
from stepline.ports.executor import ScriptVersion

# What the operating system's timers can hold, with room to spare.
LONGEST_TIMEOUT_S = 2e6


@frozen(kw_only=True)
class Place:
    """Where a workflow runs, as its tasks see it.

    Attributes:
        org: Slug of the organisation.
        pipeline_name: Name of the pipeline.
        url: Address of the platform.
        api_url: Address of its API.
    """

    org: str = "local"
    pipeline_name: str = "stepline run"
    url: str = "http://localhost"
    api_url: str = "http://localhost/api"


def attempt_plan(
    workflow: Workflow,
    command: StartTask,
    *,
    version: ScriptVersion,
    place: Place,
    now: str,
    environment: str = "",
) -> AttemptPlan:
    """Return the plan of the attempt that a command asks for.

    Args:
        workflow: The workflow.
        command: What its engine asked for.
        version: Task script of the step.
        place: Where the workflow runs.
        now: ISO 8601, UTC.
        environment: What earlier attempts at the task ran in, if there were any.
    """
    task = workflow.protocol.steps[command.step].task
    task_id = task_id_of(workflow.id, command.step)
    return AttemptPlan(
        version=version,
        function=task.function,
        task_id=task_id,
        attempt=command.attempt,
        input=command.input,
        context=task_context(
            workflow,
            place,
            task_id=task_id,
            task_slug=task.function,
            task_script=version.name,
            now=now,
        ),
        environment=environment,
        limits=workflow.confinement.apply(
            Limits(memory_mb=command.memory_mb, timeout_s=min(command.timeout_s, LONGEST_TIMEOUT_S))
        ),
    )


def task_id_of(workflow_id: str, step: int) -> str:
    """Return the id of the task that runs a step."""
    return f"{workflow_id}-{step}"


def task_context(
    workflow: Workflow,
    place: Place,
    *,
    task_id: str,
    task_slug: str,
    task_script: str,
    now: str,
) -> dict[str, Any]:
    """Return the context values of a task, keys as task scripts' contexts have them."""
    protocol = workflow.protocol
    config: dict[str, Json] = dict(effective_config(workflow))
    config["pipelineName"] = place.pipeline_name
    input_file: Mapping[str, Json] = workflow.input_file or {}
    return {
        "orgSlug": place.org,
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
        "platformUrl": place.url,
        "platformApiUrl": place.api_url,
        "platformVersion": f"v{__version__}",
        "includePrereleases": False,
    }

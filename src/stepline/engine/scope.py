"""What expressions can read at a given point of a workflow.

Source:
    Protocol rules, "Expressions": roots, step state, effective config values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepline.errors import ExpressionError
from stepline.expressions import resolve, resolve_constants
from stepline.expressions.functions import is_truthy
from stepline.model.protocol import ConfigItem, Step, TriggerType
from stepline.model.values import Json
from stepline.model.workflow import StepStatus, Workflow

Scope = dict[str, Any]


class WorkflowFault(Exception):
    """A fault that ends the workflow as failed, whatever `successWhen` says.

    Args:
        error: The workflow's error value.
    """

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


def effective_config(workflow: Workflow) -> dict[str, Json]:
    """Return the value of every config item; null where it has none.

    A default counts only where the item is not required; null in the pipeline's
    values means none given.
    """
    items = workflow.protocol.config
    return {key: _effective(item, workflow.config.get(key)) for key, item in items.items()}


def steps_view(workflow: Workflow, *, before: int | None = None) -> list[dict[str, Json]]:
    """Return the steps' states as the root ``steps`` shows them, in order.

    Args:
        workflow: The workflow.
        before: Index of the first step left out; None shows all.
    """
    states = workflow.steps[:before]
    steps = workflow.protocol.steps[: len(states)]
    return [
        {
            "id": step.id,
            "output": state.output,
            "isSuccess": state.status is StepStatus.SUCCESS,
            "isFailed": state.status is StepStatus.FAILED,
            "isSkipped": state.status is StepStatus.SKIPPED,
            "status": state.status.value,
            "error": state.error,
        }
        for step, state in zip(steps, states, strict=True)
    ]


def make_scope(workflow: Workflow, *, before: int | None = None) -> Scope:
    """Return the roots of expressions.

    Args:
        workflow: The workflow.
        before: Index of the first step that cannot be read; None lets all be read.

    Raises:
        WorkflowFault: A constant cannot be evaluated.
    """
    protocol = workflow.protocol
    scope: Scope = {
        "workflow": _workflow_root(workflow),
        "config": effective_config(workflow),
        "constants": {},
        "steps": steps_view(workflow, before=before),
        "protocol": protocol.document,
    }
    if protocol.constants:
        try:
            scope["constants"] = resolve_constants(protocol.constants, scope)
        except ExpressionError as error:
            raise WorkflowFault(f"constants cannot be evaluated: {error}") from error
    return scope


def evaluated(value: Json, scope: Scope, *, source: str) -> Json:
    """Return JSON with every nested expression replaced by its value.

    Args:
        value: JSON as the author wrote it.
        scope: Roots of expressions.
        source: Path in the protocol, such as ``steps.a.input``, for the error text.

    Raises:
        WorkflowFault: An expression cannot be evaluated.
    """
    try:
        return resolve(value, scope)
    except ExpressionError as error:
        raise WorkflowFault(f"{source} cannot be evaluated: {error}") from error


def holds(value: Json, scope: Scope, *, source: str) -> bool:
    """Return whether a condition is true; null, false, 0 and "" are not.

    Raises:
        WorkflowFault: An expression cannot be evaluated.
    """
    return is_truthy(evaluated(value, scope, source=source))


def source_of(step: Step, field: str) -> str:
    """Return the path of a step's field in the protocol, as diagnostics name it."""
    return f"{step.name}.{field}" if step.id is None else f"steps.{step.id}.{field}"


def _effective(item: ConfigItem, given: Json) -> Json:
    return item.default if given is None and not item.required else given


def _workflow_root(workflow: Workflow) -> Mapping[str, Json]:
    root: dict[str, Json] = {
        "id": workflow.id,
        "startedAt": workflow.started_at,
        "pipeline": {"id": workflow.pipeline_id},
    }
    if TriggerType.FILE in workflow.protocol.triggers:
        file = workflow.input_file
        root["inputFile"] = None if file is None else dict(file)
    return root

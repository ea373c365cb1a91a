"""A new workflow, pinned to all that it will ever read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stepline.model.protocol import Protocol
from stepline.model.task import Confinement
from stepline.model.values import Json
from stepline.model.workflow import RetryPolicy, StepDefaults, StepState, Workflow


def create_workflow(
    protocol: Protocol,
    *,
    workflow_id: str,
    started_at: str,
    input_file: Mapping[str, Json] | None = None,
    config: Mapping[str, Json] | None = None,
    pipeline_id: str = "",
    retry: RetryPolicy | None = None,
    step_defaults: Sequence[StepDefaults] = (),
    confinement: Confinement | None = None,
) -> Workflow:
    """Return a workflow that waits for `WorkflowStarted`.

    Args:
        protocol: A valid protocol, task versions resolved.
        workflow_id: Identifier of the workflow.
        started_at: ISO 8601 time of creation, UTC.
        input_file: Plain pointer of the triggering file, None if scheduled.
        config: The pipeline's values by config key; secrets as references.
        pipeline_id: Identifier of the pipeline.
        retry: Retry settings; None means one attempt per step.
        step_defaults: One per step, or none at all for the platform's defaults.
        confinement: Surroundings of the tasks; None means the platform's default.

    Raises:
        ValueError: ``step_defaults`` has neither no entry nor one per step.
    """
    if step_defaults and len(step_defaults) != len(protocol.steps):
        raise ValueError(f"{len(step_defaults)} defaults for {len(protocol.steps)} steps")
    return Workflow(
        id=workflow_id,
        protocol=protocol,
        input_file=input_file,
        config={} if config is None else config,
        pipeline_id=pipeline_id,
        retry=RetryPolicy() if retry is None else retry,
        step_defaults=tuple(step_defaults) or (StepDefaults(),) * len(protocol.steps),
        confinement=confinement or Confinement(),
        steps=(StepState(),) * len(protocol.steps),
        started_at=started_at,
    )

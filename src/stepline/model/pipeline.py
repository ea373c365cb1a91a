"""Pipelines: a protocol version, what starts it, and the values that it gets.

Source:
    The published pipeline object; see docs/reference/pipelines.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from typing import TypeAlias

from stepline.frozen import frozen
from stepline.model.task import Confinement
from stepline.model.values import Json
from stepline.model.workflow import RetryBehavior, RetryPolicy

DEFAULT_PRIORITY = 5


class Operator(str, Enum):
    """How the parts of a condition go together."""

    AND = "AND"
    OR = "OR"


@frozen
class Clause:
    """One test of one property of a file.

    Attributes:
        key: Property, such as ``category``, ``filePath`` or ``labels.plate``.
        operator: How it is compared, in the words of the reference, such as ``is``.
        value: What it is compared with; a list for ``is one of``; None for ``exists``.
    """

    key: str
    operator: str
    value: str | tuple[str, ...] | None = None


@frozen
class Group:
    """Clauses that go together."""

    operator: Operator
    clauses: tuple[Clause, ...]


@frozen
class Condition:
    """A trigger on events of files: groups of clauses. One without groups matches nothing."""

    operator: Operator = Operator.AND
    groups: tuple[Group, ...] = ()


@frozen
class Schedule:
    """A trigger by time.

    Attributes:
        cron: Minute, hour, day of month, month, day of week.
        zone: IANA name of the time zone.
    """

    cron: str
    zone: str = "UTC"


Trigger: TypeAlias = Condition | Schedule


class PipelineStatus(str, Enum):
    """What a pipeline does with an event that matches.

    ENABLED: starts a workflow.
    PAUSED: makes a workflow that waits until the pipeline is resumed.
    DISABLED: nothing; such an event is not made up for.
    """

    ENABLED = "enabled"
    PAUSED = "paused"
    DISABLED = "disabled"


@frozen(kw_only=True)
class PipelineSpec:
    """What a person sets of a pipeline.

    Attributes:
        name: Name, unique within the installation.
        protocol: ``namespace/slug:version`` of the protocol.
        trigger: What starts it.
        config: Value by config key: any JSON, ``{"setting": NAME}`` for a shared setting, or
            ``{"secret": NAME}`` for a secret.
        steps_memory_mb: Memory by step id, MiB; wins over the step's own.
        retry: When failed steps are attempted again.
        timeout_s: Wall-clock limit of a step that sets none, seconds.
        confinement: Surroundings of its tasks.
        priority: 1 to 10; higher ones go first.
        max_parallel: Workflows in progress at a time; 0 for any number.
        run_on_deleted: Whether deleting a file is an event too.
        description: For people.
        labels: For people, by name.
    """

    name: str
    protocol: str
    trigger: Trigger
    config: Mapping[str, Json] = field(default_factory=dict)
    steps_memory_mb: Mapping[str, int] = field(default_factory=dict)
    retry: RetryPolicy = RetryPolicy(behavior=RetryBehavior.EXPONENTIAL)
    timeout_s: float | None = None
    confinement: Confinement = Confinement()
    priority: int = DEFAULT_PRIORITY
    max_parallel: int = 0
    run_on_deleted: bool = False
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@frozen(kw_only=True)
class Pipeline:
    """A pipeline as it is stored.

    Attributes:
        id: Identifier; the same for all its revisions.
        revision: Number of this revision, from 1.
        spec: What a person set.
        status: What it does with events.
        created_at: Of the pipeline, ISO 8601, UTC.
        updated_at: Of this revision.
    """

    id: str
    revision: int
    spec: PipelineSpec
    status: PipelineStatus = PipelineStatus.ENABLED
    created_at: str = ""
    updated_at: str = ""

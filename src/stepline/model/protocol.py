"""A protocol: config fields and steps, as validated and version-pinned data.

Fields that may hold expressions keep them as the author wrote them; they are
evaluated when a workflow reaches them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from typing import Any

from stepline.frozen import frozen
from stepline.model.values import Json

# Namespace of the artifacts that travel with Stepline, and of others that all may use.
COMMON = "common"


class ConfigType(str, Enum):
    """Type of a config item."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    OBJECT = "object"
    ARRAY = "array"
    SECRET = "secret"


class TriggerType(str, Enum):
    """What may start a workflow of a protocol."""

    FILE = "file"
    SCHEDULED = "scheduled"


@frozen
class ConfigItem:
    """One value that a pipeline author fills in.

    Attributes:
        key: Name under which expressions read it, ``config.<key>``.
        label: Words shown to the person who fills it in.
        type: Type of the value.
        description: Longer explanation, possibly empty.
        required: Whether a pipeline must give a value.
        default: Value used when none is given; None means no default.
    """

    key: str
    label: str
    type: ConfigType
    description: str = ""
    required: bool = False
    default: Json = None


@frozen
class TaskReference:
    """The function that a step calls.

    Attributes:
        namespace: Owner scope of the task script.
        slug: Name of the task script.
        version: Exact version ``vX.Y.Z[-pre]``, or a version range.
        function: Slug of the function in the task script's config.json.
    """

    namespace: str
    slug: str
    version: str
    function: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.slug}:{self.version}"

    @property
    def is_exact(self) -> bool:
        """Whether `version` is one version, not a range."""
        numbers = self.version.removeprefix("v").partition("-")[0].split(".")
        return len(numbers) == 3 and all(number.isdecimal() for number in numbers)


@frozen
class StepOptions:
    """Limits that a step asks for; numbers, or expressions that give one.

    Attributes:
        memory_mb: Memory in MiB.
        timeout_s: Wall-clock limit of one attempt in seconds.
        run_in_lambda: Accepted for compatibility, without effect.
        custom_windows_ami: Accepted for compatibility, without effect.
    """

    memory_mb: Json = None
    timeout_s: Json = None
    run_in_lambda: Json = None
    custom_windows_ami: Json = None


@frozen
class Step:
    """One call of a function.

    Attributes:
        index: Position in the protocol, from 0.
        task: The function to call.
        id: Identifier, or None for a step without one.
        description: What the step is for, possibly empty.
        condition: The step's ``if``: a boolean or an expression.
        continue_on_error: A boolean or an expression.
        input: JSON with nested expressions.
        options: Limits of the step's attempts.
    """

    index: int
    task: TaskReference
    id: str | None = None
    description: str = ""
    condition: Json = True
    continue_on_error: Json = False
    input: Json = None
    options: StepOptions = StepOptions()

    @property
    def name(self) -> str:
        """The step's id, or ``steps[<index>]`` where it has none."""
        return self.id if self.id is not None else f"steps[{self.index}]"


@frozen
class Protocol:
    """A valid protocol v3 document.

    Attributes:
        steps: In the order in which they run.
        config: By key, in the author's order.
        constants: JSON with nested expressions.
        triggers: What may start a workflow.
        success_when: A boolean, an expression, or None when not given.
        on_failed: JSON with nested expressions; meaningful if `has_on_failed`.
        has_on_failed: Tells an ``onFailed: null`` from none.
        document: The document as data: what the root ``protocol`` reads.
    """

    steps: tuple[Step, ...]
    config: Mapping[str, ConfigItem] = field(default_factory=dict)
    constants: Mapping[str, Json] = field(default_factory=dict)
    triggers: frozenset[TriggerType] = frozenset({TriggerType.FILE})
    success_when: Json = None
    on_failed: Json = None
    has_on_failed: bool = False
    name: str = ""
    description: str = ""
    namespace: str = ""
    slug: str = ""
    version: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)

"""Run-time checks of config values and step options, and the limits these give.

Source:
    Protocol rules, "config items" (guard before the first step) and "Steps"
    (options); "Retries, time, memory" (precedence of limits). Option order as in
    the public protocol compiler.
"""

from __future__ import annotations

import math

from stepline.engine.scope import Scope, WorkflowFault, effective_config, evaluated, source_of
from stepline.frozen import frozen
from stepline.model.protocol import ConfigType, Step
from stepline.model.task import DEFAULT_MEMORY_MB, DEFAULT_TIMEOUT_S
from stepline.model.values import Json
from stepline.model.workflow import StepDefaults, Workflow

_CHECKED_TYPES = (ConfigType.STRING, ConfigType.NUMBER, ConfigType.BOOLEAN)


@frozen
class StepLimits:
    """Memory in MiB and wall-clock limit in seconds of a step's first attempt."""

    memory_mb: int
    timeout_s: float


def check_config(workflow: Workflow) -> None:
    """Check the config values that have a scalar type.

    An optional item without default and without value is in order, so a missing
    required value is a fault. Objects, arrays and secrets are not checked.

    Raises:
        WorkflowFault: The first value, in the protocol's order, of a wrong type.
    """
    values = effective_config(workflow)
    for key, item in workflow.protocol.config.items():
        value = values[key]
        if item.type not in _CHECKED_TYPES:
            continue
        if value is None and not item.required and item.default is None:
            continue
        if type_of(value) != item.type.value:
            raise WorkflowFault(_mismatch(f'Config "{key}"', item.type.value, value))


def step_limits(
    step: Step, defaults: StepDefaults, *, scope: Scope, max_memory_mb: int
) -> StepLimits:
    """Evaluate a step's options into the limits of its attempts.

    Memory comes from the pipeline's override, else the step's option, else the
    task script, else the platform; a 0 of the pipeline or the task script counts
    as not given. Time comes from the step's option, else the pipeline, else the
    platform.

    Raises:
        WorkflowFault: An option has a wrong type, or is a number not above 0.
    """
    options = step.options
    memory = _option(step, "memoryInMB", options.memory_mb, expected="number", scope=scope)
    timeout = _option(step, "timeoutInSec", options.timeout_s, expected="number", scope=scope)
    _option(step, "customWindowsAMI", options.custom_windows_ami, expected="string", scope=scope)
    _option(step, "runInLambda", options.run_in_lambda, expected="boolean", scope=scope)
    own_mb = _positive("memoryInMB", memory)
    own_s = _positive("timeoutInSec", timeout)
    memory_mb = defaults.memory_override_mb or own_mb or defaults.memory_mb or DEFAULT_MEMORY_MB
    return StepLimits(
        memory_mb=math.ceil(min(memory_mb, max_memory_mb)),
        timeout_s=own_s or defaults.timeout_s or DEFAULT_TIMEOUT_S,
    )


def type_of(value: Json) -> str:
    """Return the JSON type's name, as the texts of run-time faults show it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _option(step: Step, name: str, given: Json, *, expected: str, scope: Scope) -> Json:
    """Return an option's value, None where the step does not give the option."""
    if given is None:
        return None
    value = evaluated(given, scope, source=source_of(step, f"options.{name}"))
    if type_of(value) != expected:
        raise WorkflowFault(_mismatch(f'Option "{name}"', expected, value))
    return value


def _positive(name: str, value: Json) -> float | None:
    if not isinstance(value, (int, float)):
        return None
    if not 0 < value < math.inf:
        raise WorkflowFault(f'Option "{name}" expected a number above 0. Received {value}')
    return value


def _mismatch(subject: str, expected: str, value: Json) -> str:
    return f"{subject} expected value of type {expected}. Received {type_of(value)}"

"""Run-time guard of config values, step options and the limits that come of them."""

from __future__ import annotations

from typing import Any

import pytest

from stepline.engine import advance, effective_config
from stepline.engine.events import FinishWorkflow, StartTask, WorkflowStarted
from stepline.model.protocol import ConfigItem, ConfigType, StepOptions
from stepline.model.workflow import RetryPolicy, StepDefaults, WorkflowStatus
from tests.unit.engine.plays import make_protocol, make_workflow, ok, play, statuses

STRING, NUMBER, BOOLEAN = ConfigType.STRING, ConfigType.NUMBER, ConfigType.BOOLEAN
OBJECT, ARRAY, SECRET = ConfigType.OBJECT, ConfigType.ARRAY, ConfigType.SECRET


def _item(kind: ConfigType, *, required: bool = False, default: Any = None) -> ConfigItem:
    return ConfigItem("x", "The X", kind, required=required, default=default)


GOOD = [
    ("string", _item(STRING), "text"),
    ("empty-string", _item(STRING, required=True), ""),
    ("integer", _item(NUMBER), 4),
    ("fraction", _item(NUMBER, required=True), 0.5),
    ("zero", _item(NUMBER, required=True), 0),
    ("false", _item(BOOLEAN, required=True), False),
    ("optional-null", _item(STRING), None),
    ("default-for-null", _item(NUMBER, default=3), None),
    ("object-unchecked", _item(OBJECT), "text"),
    ("array-unchecked", _item(ARRAY), {"a": 1}),
    ("secret-unchecked", _item(SECRET, required=True), None),
    ("required-object-unchecked", _item(OBJECT, required=True), None),
]


@pytest.mark.parametrize(("item", "given"), [row[1:] for row in GOOD], ids=[row[0] for row in GOOD])
def test_config_guard_fitting_value_starts_first_step(item: ConfigItem, given: Any) -> None:
    workflow = make_workflow(make_protocol({}, config={"x": item}), config={"x": given})
    workflow, commands = advance(workflow, WorkflowStarted())
    assert isinstance(commands[0], StartTask)


WRONG = [
    ("number-for-string", _item(STRING), 4, "string", "number"),
    ("text-for-number", _item(NUMBER), "4", "number", "string"),
    ("boolean-for-number", _item(NUMBER), True, "number", "boolean"),
    ("number-for-boolean", _item(BOOLEAN), 1, "boolean", "number"),
    ("object-for-string", _item(STRING), {"ssm": "/a"}, "string", "object"),
    ("array-for-string", _item(STRING), [], "string", "array"),
    ("required-missing", _item(STRING, required=True), None, "string", "null"),
    (
        "required-ignores-default",
        _item(BOOLEAN, required=True, default=True),
        None,
        "boolean",
        "null",
    ),
    ("wrong-despite-default", _item(NUMBER, default=1), "1", "number", "string"),
]


@pytest.mark.parametrize(
    ("item", "given", "expected", "actual"),
    [row[1:] for row in WRONG],
    ids=[row[0] for row in WRONG],
)
def test_config_guard_wrong_type_fails_before_first_step(
    item: ConfigItem, given: Any, expected: str, actual: str
) -> None:
    workflow = make_workflow(make_protocol({}, {}, config={"x": item}), config={"x": given})
    workflow, commands = advance(workflow, WorkflowStarted())
    error = f'Config "x" expected value of type {expected}. Received {actual}'
    assert commands == (FinishWorkflow(WorkflowStatus.FAILED, output=None, error=error),)
    assert statuses(workflow) == "kk"


def test_config_guard_names_first_wrong_value_and_asks_no_rule() -> None:
    config = {"b": _item(STRING, required=True), "a": _item(STRING, required=True)}
    protocol = make_protocol(config=config, success_when=True, on_failed="told", has_on_failed=True)
    workflow, _ = advance(make_workflow(protocol), WorkflowStarted())
    assert workflow.error == 'Config "b" expected value of type string. Received null'


@pytest.mark.parametrize(
    ("item", "given", "value"),
    [
        pytest.param(_item(STRING), {}, None, id="unset"),
        pytest.param(_item(STRING), {"x": "y"}, "y", id="given"),
        pytest.param(_item(STRING, default="d"), {}, "d", id="default"),
        pytest.param(_item(STRING, default="d"), {"x": None}, "d", id="default-for-null"),
        pytest.param(_item(STRING, default="d"), {"x": ""}, "", id="empty-is-given"),
        pytest.param(_item(BOOLEAN, default=True), {"x": False}, False, id="false-is-given"),
        pytest.param(_item(STRING, required=True, default="d"), {}, None, id="required"),
        pytest.param(_item(STRING), {"x": "y", "pipelineName": "p"}, "y", id="other-key"),
    ],
)
def test_effective_config_applies_defaults(
    item: ConfigItem, given: dict[str, Any], value: Any
) -> None:
    workflow = make_workflow(make_protocol(config={"x": item}), config=given)
    assert effective_config(workflow) == {"x": value}


def _start(options: StepOptions, defaults: StepDefaults | None = None, **fields: Any) -> Any:
    protocol = make_protocol({}, {"options": options, "condition": "$( not(steps.a.output.skip) )"})
    step_defaults = [StepDefaults(), defaults or StepDefaults()]
    workflow = make_workflow(protocol, step_defaults=step_defaults, **fields)
    output = {"n": 2048, "t": 1.5, "s": "x", "l": [1]}
    return play(workflow, [ok(output)])


@pytest.mark.parametrize(
    ("option", "override", "config", "memory_mb"),
    [
        pytest.param(None, None, None, 512, id="platform-default"),
        pytest.param(None, None, 600, 600, id="task-script"),
        pytest.param(700, None, 600, 700, id="option-over-task-script"),
        pytest.param(700, 800, 600, 800, id="override-over-option"),
        pytest.param("$( steps.a.output.n )", None, None, 2048, id="expression"),
        pytest.param(100.2, None, None, 101, id="fraction-is-rounded-up"),
        pytest.param(9000, None, None, 8192, id="capped"),
        pytest.param(None, 9000, None, 8192, id="override-capped"),
        pytest.param(None, 0, 0, 512, id="zero-is-not-given"),
    ],
)
def test_step_limits_memory_follows_precedence(
    option: Any, override: int | None, config: int | None, memory_mb: int
) -> None:
    defaults = StepDefaults(memory_override_mb=override, memory_mb=config)
    _, commands = _start(StepOptions(memory_mb=option), defaults)
    assert commands[-1].memory_mb == memory_mb


@pytest.mark.parametrize(
    ("option", "pipeline", "timeout_s"),
    [
        pytest.param(None, None, 3600.0, id="platform-default"),
        pytest.param(None, 60.0, 60.0, id="pipeline"),
        pytest.param(5, 60.0, 5.0, id="option-over-pipeline"),
        pytest.param("$( steps.a.output.t )", 60.0, 1.5, id="expression"),
    ],
)
def test_step_limits_timeout_follows_precedence(
    option: Any, pipeline: float | None, timeout_s: float
) -> None:
    _, commands = _start(StepOptions(timeout_s=option), StepDefaults(timeout_s=pipeline))
    assert commands[-1].timeout_s == timeout_s


def test_step_limits_platform_may_cap_memory_lower() -> None:
    _, commands = _start(StepOptions(memory_mb=900), retry=RetryPolicy(max_memory_mb=640))
    assert commands[-1].memory_mb == 640


OPTIONS = [
    (
        "memory_mb",
        "$( steps.a.output.s )",
        'Option "memoryInMB" expected value of type number. Received string',
    ),
    (
        "memory_mb",
        "$( steps.a.output.none )",
        'Option "memoryInMB" expected value of type number. Received null',
    ),
    ("memory_mb", True, 'Option "memoryInMB" expected value of type number. Received boolean'),
    (
        "timeout_s",
        "$( steps.a.output )",
        'Option "timeoutInSec" expected value of type number. Received object',
    ),
    (
        "timeout_s",
        "$( steps.a.output.l )",
        'Option "timeoutInSec" expected value of type number. Received array',
    ),
    (
        "custom_windows_ami",
        "$( steps.a.output.n )",
        'Option "customWindowsAMI" expected value of type string. Received number',
    ),
    (
        "run_in_lambda",
        "$( steps.a.output.s )",
        'Option "runInLambda" expected value of type boolean. Received string',
    ),
    ("memory_mb", 0, 'Option "memoryInMB" expected a number above 0. Received 0'),
    ("timeout_s", -1, 'Option "timeoutInSec" expected a number above 0. Received -1'),
    ("timeout_s", float("inf"), 'Option "timeoutInSec" expected a number above 0. Received inf'),
]


@pytest.mark.parametrize(("name", "value", "error"), OPTIONS)
def test_step_option_wrong_value_fails_workflow(name: str, value: Any, error: str) -> None:
    workflow, commands = _start(StepOptions(**{name: value}))
    assert (workflow.status, workflow.error) == (WorkflowStatus.FAILED, error)
    assert statuses(workflow) == "sk"
    assert isinstance(commands[-1], FinishWorkflow)


def test_step_option_wrong_value_is_not_redeemed_by_rules() -> None:
    protocol = make_protocol(
        {"options": StepOptions(memory_mb="x"), "continue_on_error": True}, success_when=True
    )
    workflow, _ = play(make_workflow(protocol))
    assert workflow.error == 'Option "memoryInMB" expected value of type number. Received string'


def test_step_option_wrong_value_of_skipped_step_is_ignored() -> None:
    protocol = make_protocol({"options": StepOptions(memory_mb="x"), "condition": False})
    workflow, _ = play(make_workflow(protocol))
    assert workflow.status is WorkflowStatus.COMPLETED

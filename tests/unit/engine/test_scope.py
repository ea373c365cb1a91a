"""What each expression of a workflow can read."""

from __future__ import annotations

from typing import Any

import pytest

from stepline.engine import steps_view
from stepline.engine.events import StartTask
from stepline.model.protocol import ConfigItem, ConfigType, TriggerType
from tests.unit.engine.plays import bad, make_protocol, make_workflow, ok, play

FILE = {"type": "s3file", "fileId": "f-1", "fileKey": "k", "meta": {"sourceId": "s"}}
BOTH = frozenset({TriggerType.FILE, TriggerType.SCHEDULED})
SCHEDULED = frozenset({TriggerType.SCHEDULED})

SUCCESS = {
    "output": {"n": 1},
    "isSuccess": True,
    "isFailed": False,
    "isSkipped": False,
    "status": "success",
    "error": None,
}
FAILURE = {
    "output": None,
    "isSuccess": False,
    "isFailed": True,
    "isSkipped": False,
    "status": "failed",
    "error": "boom",
}
SKIPPED = {
    "output": None,
    "isSuccess": False,
    "isFailed": False,
    "isSkipped": True,
    "status": "skipped",
    "error": None,
}


def _input_of_last_step(value: Any, **fields: Any) -> Any:
    """Evaluate a value as the input of a step after one success, one failure, one skip."""
    protocol = make_protocol(
        {},
        {"continue_on_error": True},
        {"condition": False, "id": None},
        {"input": value},
        {},
        config={
            "x": ConfigItem("x", "X", ConfigType.STRING, default="d"),
            "y": ConfigItem("y", "Y", ConfigType.NUMBER),
        },
        constants={"c": ["$( constants.b )", "$( workflow.id )"], "b": "$( config.x )"},
        document={"protocolSchema": "v3", "name": "demo"},
        triggers=fields.pop("triggers", frozenset({TriggerType.FILE})),
    )
    workflow = make_workflow(protocol, pipeline_id="p-1", **{"input_file": FILE, **fields})
    _, commands = play(workflow, [ok({"n": 1}), bad()])
    assert isinstance(commands[-1], StartTask)
    return commands[-1].input


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("workflow.id", "w-1"),
        ("workflow.startedAt", "2024-01-31T12:00:00Z"),
        ("workflow.pipeline", {"id": "p-1"}),
        ("workflow.inputFile", FILE),
        ("config", {"x": "d", "y": None}),
        ("constants", {"c": ["d", "w-1"], "b": "d"}),
        ("constants.c[1]", "w-1"),
        ("protocol.name", "demo"),
        ("steps.a", SUCCESS),
        ("steps['b']", FAILURE),
        ("steps[2]", SKIPPED),
        ("steps", [SUCCESS, FAILURE, SKIPPED]),
    ],
)
def test_scope_of_input_has_root(expression: str, value: Any) -> None:
    assert _input_of_last_step(f"$( {expression} )") == value


@pytest.mark.parametrize(
    ("triggers", "file", "value"),
    [
        pytest.param(BOTH, None, {"inputFile": None}, id="either-without-file"),
        pytest.param(BOTH, FILE, {"inputFile": FILE}, id="either-with-file"),
        pytest.param(SCHEDULED, None, {}, id="scheduled-has-none"),
    ],
)
def test_scope_input_file_follows_triggers(triggers: Any, file: Any, value: Any) -> None:
    root = _input_of_last_step("$( workflow )", triggers=triggers, input_file=file)
    base = {"id": "w-1", "startedAt": "2024-01-31T12:00:00Z", "pipeline": {"id": "p-1"}}
    assert root == {**base, **value}


def test_steps_view_of_unfinished_workflow_shows_all_states() -> None:
    workflow, _ = play(make_workflow(make_protocol({}, {}, {"id": None})), [ok({"n": 1})])
    shown = steps_view(workflow)
    assert [state["id"] for state in shown] == ["a", "b", None]
    assert [state["status"] for state in shown] == ["success", "running", "pending"]
    assert shown[0] == {"id": "a", **SUCCESS}
    assert not any(shown[1][name] for name in ("isSuccess", "isFailed", "isSkipped"))

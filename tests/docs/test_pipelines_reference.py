"""The reference of pipelines names what there is, and its examples work."""

import json
import re
from pathlib import Path

from stepline.engine.triggers import match
from stepline.model.ledger import Decision
from stepline.model.pipeline import Condition, Schedule
from stepline.model.pipeline_rules import KEY_WORDS, OPERATORS
from stepline.model.workflow import RetryBehavior
from stepline.parsing.pipeline_api import FIELDS, spec_from_api
from stepline.parsing.pipelines import KEYS, parse_pipeline

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "pipelines.md").read_text()


def _names(head: str) -> list[str]:
    """The names in the first column of the table whose first heading this is."""
    rows = PAGE.split(f"\n| {head} | ")[1].split("\n\n")[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def test_pipelines_reference_yaml_example_is_valid() -> None:
    text = PAGE.split("```yaml\n")[1].split("```")[0]
    assert parse_pipeline(text, path="push.yml").problems == ()


def test_pipelines_reference_json_example_is_valid_and_matches() -> None:
    spec, problems = spec_from_api(json.loads(PAGE.split("```json\n")[1].split("```")[0]))
    assert problems == ()
    assert spec is not None
    assert isinstance(spec.trigger, Condition)
    assert match(spec.trigger, {"sourceId": ("s-2",)}).matched


def test_pipelines_reference_inline_triggers_are_valid() -> None:
    for trigger in re.findall(r"`(trigger: [^`]+)`", PAGE):
        parsed = parse_pipeline(f"name: P\nprotocol: common/p:v1.0.0\n{trigger}\n", path="p.yml")
        assert parsed.value is not None
        assert isinstance(parsed.value.trigger, Condition | Schedule)


def test_pipelines_reference_names_all_keys_of_files() -> None:
    first, second = PAGE.split("\n## Conditions\n")
    rows = [row for row in first.split("\n## Keys\n")[1].splitlines() if row.startswith("| `")]
    named = [re.findall(r"`([^`]+)`", row)[0] for row in rows]
    assert sorted(named[: len(KEYS)]) == sorted(KEYS)
    properties = second.split("| operator |")[0]
    assert set(KEY_WORDS) <= set(re.findall(r"`([^`]+)`", properties))


def test_pipelines_reference_names_all_operators_behaviors_and_decisions() -> None:
    assert sorted(_names("operator")) == sorted(OPERATORS)
    assert _names("behavior") == [behavior.value for behavior in RetryBehavior]
    assert sorted(_names("decision")) == sorted(decision.value for decision in Decision)


def test_pipelines_reference_names_all_fields_of_the_api() -> None:
    assert sorted(_names("field")) == sorted(FIELDS)

"""Pipelines in the API's fields, there and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepline.model.pipeline import (
    Clause,
    Condition,
    Group,
    Operator,
    Pipeline,
    PipelineSpec,
    PipelineStatus,
    Schedule,
)
from stepline.model.workflow import RetryBehavior, RetryPolicy
from stepline.parsing.pipeline_api import (
    FIELDS,
    api_path,
    pipeline_to_api,
    spec_from_api,
    spec_to_api,
    status_from_api,
)

LEAF = {"key": "category", "operator": "is", "value": "raw"}
TWINS = "`protocolSlug` and `masterScriptSlug` differ; `protocolSlug` is the deprecated one"
GROUP = "triggerCondition.groups[0]"
CLAUSE = f"{GROUP}.groups[0]"
LEAST: dict[str, Any] = {
    "name": "P",
    "masterScriptNamespace": "common",
    "masterScriptSlug": "p",
    "masterScriptVersion": "v1.0.0",
}
SPEC = PipelineSpec(
    name="Push",
    protocol="private-demo/v3-push:v1.0.0",
    trigger=Condition(
        Operator.OR,
        (
            Group(
                Operator.AND, (Clause("sourceId", "is one of", ("a", "b")), Clause("ids", "exists"))
            ),
        ),
    ),
    config={"key": {"secret": "kaggle-api-key"}, "user": {"setting": "u"}, "title": "T"},
    steps_memory_mb={"push": 1024},
    retry=RetryPolicy(RetryBehavior.LINEAR, base_delay_s=2, max_retries=4),
    timeout_s=3600,
    labels={"team": "lab"},
)


def tree(*groups, operator="AND"):
    return {"groupLevel": 1, "groupOperator": operator, "groups": list(groups)}


def level_2(*leaves, operator="AND"):
    return {"groupLevel": 2, "groupOperator": operator, "groups": list(leaves)}


def faults(**fields):
    """Source, message and hint of each problem of the least body with these fields."""
    _, problems = spec_from_api({**LEAST, **fields})
    return [(each.source, each.message, each.hint) for each in problems]


def spec(**fields):
    found, problems = spec_from_api({**LEAST, **fields})
    assert problems == ()
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("config.a.secret", "pipelineConfig.a.secret"),
        ('config["a-b"]', 'pipelineConfig["a-b"]'),
        ("steps.push", "stepsConfig.push"),
        ("trigger", "triggerCondition"),
        ("protocol", "masterScriptSlug"),
        ("priority", "priority"),
        ("", ""),
    ],
)
def test_api_path_is_that_of_the_field_which_a_key_becomes(source, path):
    assert api_path(source) == path


def test_spec_from_api_least_body_takes_the_defaults():
    assert spec() == PipelineSpec(name="P", protocol="common/p:v1.0.0", trigger=Condition())


def test_spec_from_api_null_is_left_out():
    nulls = {field: None for field in FIELDS if field not in LEAST}
    assert spec(**nulls) == spec()


def test_pipeline_to_api_has_the_published_fields():
    plain = pipeline_to_api(
        Pipeline(id="p-1", revision=3, spec=SPEC, created_at="t1", updated_at="t2"),
        org="demo",
        environment="prod",
    )
    assert plain == {
        "id": "p-1",
        "orgSlug": "demo",
        "revision": 3,
        "createdAt": "t1",
        "updatedAt": "t2",
        "status": None,
        "name": "Push",
        "description": "",
        "labels": [{"name": "team", "value": "lab"}],
        "masterScriptNamespace": "private-demo",
        "masterScriptSlug": "v3-push",
        "masterScriptVersion": "v1.0.0",
        "protocolSlug": "v3-push",
        "protocolVersion": "v1.0.0",
        "protocolSchema": "v3",
        "artifactType": "protocol",
        "triggerType": "custom",
        "triggerCondition": tree(
            level_2(
                {"key": "sourceId", "operator": "is one of", "value": ["a", "b"]},
                {"key": "ids", "operator": "exists"},
            ),
            operator="OR",
        ),
        "pipelineConfig": {
            "key": {"ssm": "/prod/demo/org-secrets/kaggle-api-key", "secret": True},
            "user": {"setting": "u"},
            "title": "T",
        },
        "stepsConfig": {"push": {"memoryInMB": 1024}},
        "limits": {"network": "host", "fresh": False},
        "priority": 5,
        "retryBehavior": "linear",
        "retryConfiguration": {"baseDelaySeconds": 2, "maxRetries": 4},
        "standby": None,
        "maxParallelWorkflows": 0,
        "taskScriptTimeoutMins": 60,
        "runOnDeleted": False,
        "inlineArtifact": None,
    }


@pytest.mark.parametrize("status", PipelineStatus)
def test_pipeline_to_api_status_comes_back(status):
    plain = pipeline_to_api(Pipeline(id="p", revision=1, spec=SPEC, status=status))
    assert status_from_api(plain["status"]) is status
    assert spec_from_api(plain) == (SPEC, ())


def test_spec_from_api_schedule_is_read():
    found = spec(triggerType="sched", triggerCondition={"cron": "0 6 * * *", "tz": "Asia/Tokyo"})
    assert found.trigger == Schedule("0 6 * * *", "Asia/Tokyo")


def test_spec_from_api_deprecated_fields_stand_for_new_ones():
    body = {
        "name": "P",
        "masterScriptNamespace": "common",
        "protocolSlug": "p",
        "protocolVersion": "v2.0.0",
    }
    found, problems = spec_from_api(body)
    assert problems == ()
    assert found is not None
    assert found.protocol == "common/p:v2.0.0"


def test_spec_from_api_reference_of_task_scripts_names_the_secret():
    reference = {"ssm": "/any/where/org-secrets/a.b-c", "secret": True}
    assert spec(pipelineConfig={"key": reference}).config == {"key": {"secret": "a.b-c"}}


def test_spec_from_api_lambda_option_has_no_effect():
    assert spec(stepsConfig={"push": {"memoryInMB": 64, "runInLambda": True}}).steps_memory_mb == {
        "push": 64
    }


@pytest.mark.parametrize(
    ("fields", "source", "message"),
    [
        ({"prioritty": 1}, "", "unknown key `prioritty`"),
        ({"name": ""}, "name", "`name` cannot be ''"),
        ({"name": None}, "name", "the key `name` is missing"),
        (
            {"masterScriptNamespace": "demo"},
            "masterScriptNamespace",
            "the protocol's namespace cannot be 'demo'",
        ),
        (
            {"masterScriptVersion": "1"},
            "masterScriptVersion",
            "the protocol's version cannot be '1'",
        ),
        ({"protocolSlug": "q"}, "protocolSlug", TWINS),
        ({"artifactType": "tetraflow"}, "artifactType", "`artifactType` cannot be 'tetraflow'"),
        ({"triggerType": "cron"}, "triggerType", "`triggerType` cannot be 'cron'"),
        (
            {"triggerType": "sched"},
            "triggerCondition",
            "`triggerCondition` must hold `cron` where triggerType is sched; it is missing",
        ),
        ({"status": "off"}, "status", "`status` cannot be 'off'"),
        ({"priority": 5.5}, "priority", "`priority` must be a whole number from 1 to 10, not 5.5"),
        ({"priority": "5"}, "priority", "`priority` must be a number, not text"),
        ({"runOnDeleted": 1}, "runOnDeleted", "`runOnDeleted` must be true or false, not a number"),
        ({"retryBehavior": "always"}, "retryBehavior", "`retryBehavior` cannot be 'always'"),
        (
            {"retryConfiguration": {"maxRetries": 11}},
            "retryConfiguration.maxRetries",
            "`retryConfiguration.maxRetries` must be a whole number from 0 to 10, not 11",
        ),
        (
            {"taskScriptTimeoutMins": 0},
            "taskScriptTimeoutMins",
            "`taskScriptTimeoutMins` must be a whole number from 1 to 43200, not 0",
        ),
        (
            {"stepsConfig": {"a": {"memory": 1}}},
            "stepsConfig.a",
            "unknown key `memory` in `stepsConfig.a`",
        ),
        (
            {"pipelineConfig": []},
            "pipelineConfig",
            "`pipelineConfig` must be a mapping, not a list",
        ),
        ({"labels": [{"name": "a"}]}, "labels[0]", "the key `value` is missing in `labels[0]`"),
        (
            {"inlineArtifact": {}},
            "inlineArtifact",
            "protocols inside of a pipeline are not supported",
        ),
        ({"standby": 2}, "standby", "`standby` has no effect"),
        ({"triggerCondition": LEAF}, "triggerCondition", "unknown key `key` in `triggerCondition`"),
        (
            {"triggerCondition": tree()},
            "triggerCondition.groups",
            "`triggerCondition.groups` has no clauses",
        ),
        (
            {"triggerCondition": tree(LEAF)},
            GROUP,
            "unknown key `key` in `triggerCondition.groups[0]`",
        ),
        (
            {"triggerCondition": tree(tree(LEAF))},
            GROUP,
            "`triggerCondition.groups[0].groupLevel` must be 2 here",
        ),
        (
            {"triggerCondition": tree(level_2(LEAF, operator="XOR"))},
            GROUP + ".groupOperator",
            "`triggerCondition.groups[0].groupOperator` cannot be 'XOR'",
        ),
        (
            {"triggerCondition": tree(level_2({**LEAF, "key": "catgory"}))},
            CLAUSE,
            "a file has no property `catgory`",
        ),
        (
            {"triggerCondition": tree(level_2({**LEAF, "value": "rwa"}))},
            CLAUSE,
            "'rwa' is no category",
        ),
    ],
)
def test_spec_from_api_wrong_field_is_named(fields, source, message):
    assert (source, message) in [fault[:2] for fault in faults(**fields)]


def test_spec_from_api_problems_have_no_made_up_positions():
    found, problems = spec_from_api({"nam": 1}, path="body")
    assert found is None
    assert {str(each.where) for each in problems} == {"body"}
    assert "did you mean 'name'?" in {each.hint for each in problems}


@pytest.mark.parametrize("value", [float("nan"), "\ud800", {1, 2}])
def test_spec_from_api_what_is_no_json_is_refused(value):
    found, problems = spec_from_api({**LEAST, "description": value})
    assert found is None
    assert problems


CLAUSES = st.one_of(
    st.builds(
        Clause,
        st.just("fileName"),
        st.sampled_from(["is", "contains"]),
        st.text("ab '\",", min_size=1),
    ),
    st.builds(Clause, st.just("labels.x y"), st.just("exists")),
    st.builds(
        Clause,
        st.just("ids"),
        st.just("is one of"),
        st.lists(st.sampled_from("ab"), min_size=1).map(tuple),
    ),
)
OPERATORS = st.sampled_from(Operator)
GROUPS = st.builds(Group, OPERATORS, st.lists(CLAUSES, min_size=1, max_size=3).map(tuple))
CONDITIONS = st.just(Condition()) | st.builds(
    Condition, OPERATORS, st.lists(GROUPS, min_size=1, max_size=3).map(tuple)
)
SCHEDULES = st.builds(Schedule, st.just("0 6 * * *"), st.sampled_from(["UTC", "Europe/Berlin"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("cd"), inner, max_size=2),
    max_leaves=5,
)
SPECS = st.builds(
    PipelineSpec,
    name=st.text("ab", min_size=1),
    protocol=st.sampled_from(["common/p:v1.0.0", "private-me/a-b:v1.2.3-rc.1"]),
    trigger=CONDITIONS | SCHEDULES,
    config=st.dictionaries(
        st.sampled_from("abc"), JSON | st.just({"secret": "s.t-u"}) | st.just({"setting": "X"})
    ),
    steps_memory_mb=st.dictionaries(st.sampled_from(["push", "0"]), st.integers(1, 8192)),
    retry=st.builds(
        RetryPolicy,
        st.sampled_from(RetryBehavior),
        base_delay_s=st.floats(0, 3600),
        max_retries=st.integers(0, 10),
    ),
    timeout_s=st.none() | st.integers(1, 9999).map(lambda minutes: 60.0 * minutes),
    priority=st.integers(1, 10),
    max_parallel=st.integers(0, 9),
    run_on_deleted=st.booleans(),
    description=st.text("ab \n"),
    labels=st.dictionaries(st.sampled_from("xy"), st.text("z", min_size=1)),
)


@given(SPECS)
def test_spec_to_api_comes_back_the_same(given_spec):
    assert spec_from_api(spec_to_api(given_spec, org="demo")) == (given_spec, ())

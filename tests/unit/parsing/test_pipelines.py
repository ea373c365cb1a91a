"""Pipeline files: the model they give, and what is reported where."""

from __future__ import annotations

import json
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepline.engine.triggers import match
from stepline.errors import ConfigError, Location, Problem
from stepline.model.pipeline import Clause, Condition, Group, Operator, PipelineSpec, Schedule
from stepline.model.pipeline_rules import KEYS, MAX_CLAUSES, PRESENCE_OPERATORS, operators_of
from stepline.model.task import Confinement, Network
from stepline.model.workflow import RetryBehavior, RetryPolicy
from stepline.parsing.pipelines import parse_pipeline, read_pipeline

AND, OR = Operator.AND, Operator.OR

FULL = dedent(
    """\
    name: Push plate readings
    description: To Kaggle
    labels: {team: lab}
    protocol: private-demo/v3-push:v1.0.0
    trigger:
      all:
        - category is raw
        - sourceType is ssp-demo
        - any: [labels.plate exists, tags has a tag that is urgent]
    config:
      kaggle_username: {setting: kaggle_username}
      kaggle_api_key: {secret: kaggle-api-key}
      title: Plates
      depth: {min: 1, secret: no reference}
    priority: 7
    max_parallel_workflows: 2
    retry: {behavior: linear, base_delay_s: 2.5, max_retries: 4}
    timeout_minutes: 60
    steps: {push: {memory_mb: 1024}, "0": {}}
    limits: {network: none, fresh: true, pids: 64, cpus: 1.5, tmp_mb: 256}
    run_on_deleted: true
    """
)
HEAD = "name: P\nprotocol: common/p:v1.0.0\n"


def parse(text):
    return parse_pipeline(dedent(text), path="push.yml")


def faults(text):
    """Place, message and hint of each problem."""
    return [(str(p.where), p.message, p.hint) for p in parse(text).problems]


def trigger(text):
    """The trigger of a pipeline with this one, in JSON or YAML's flow style."""
    return parse(f"{HEAD}trigger: {text}\n").unwrap(ConfigError).trigger


def flow(value):
    """A value in YAML's flow style."""
    return json.dumps(value, ensure_ascii=False)


def clause(text):
    (group,) = trigger(flow(text)).groups
    return group.clauses[0]


def test_parse_pipeline_full_file_gives_the_model():
    assert parse(FULL).unwrap(ConfigError) == PipelineSpec(
        name="Push plate readings",
        description="To Kaggle",
        labels={"team": "lab"},
        protocol="private-demo/v3-push:v1.0.0",
        trigger=Condition(
            AND,
            (
                Group(
                    AND, (Clause("category", "is", "raw"), Clause("sourceType", "is", "ssp-demo"))
                ),
                Group(
                    OR,
                    (
                        Clause("labels.plate", "exists"),
                        Clause("tags", "has a tag that is", "urgent"),
                    ),
                ),
            ),
        ),
        config={
            "kaggle_username": {"setting": "kaggle_username"},
            "kaggle_api_key": {"secret": "kaggle-api-key"},
            "title": "Plates",
            "depth": {"min": 1, "secret": "no reference"},
        },
        priority=7,
        max_parallel=2,
        retry=RetryPolicy(RetryBehavior.LINEAR, base_delay_s=2.5, max_retries=4),
        timeout_s=3600.0,
        steps_memory_mb={"push": 1024},
        confinement=Confinement(Network.NONE, True, 64, 1.5, 256),
        run_on_deleted=True,
    )  # fmt: skip


def test_parse_pipeline_least_file_takes_the_defaults():
    spec = parse(HEAD + "trigger: category is raw\n").unwrap(ConfigError)
    condition = Condition(AND, (Group(AND, (Clause("category", "is", "raw"),)),))
    assert spec == PipelineSpec(name="P", protocol="common/p:v1.0.0", trigger=condition)


def test_parse_pipeline_in_json_is_read_too():
    text = json.dumps({"name": "P", "protocol": "common/p:v1.0.0", "trigger": "tags exists"})
    assert parse_pipeline(text, path="push.json").value is not None


def test_parse_pipeline_locates_config_values_and_steps():
    parsed = parse(FULL)
    assert str(parsed.locate("config.title")) == "push.yml:13:3"
    assert str(parsed.locate("steps.push")) == "push.yml:19:9"
    assert str(parsed.locate("config")) == "push.yml:10:1"
    assert str(parsed.locate("protocol")) == "push.yml:4:11"
    assert str(parsed.locate("config.kaggle_username.setting")) == "push.yml:11:30"


def test_parse_pipeline_missing_keys_say_what_to_write():
    assert faults("priority: 1\n") == [
        ("push.yml:1:1", "the key `name` is missing", "write name: Push plate readings"),
        (
            "push.yml:1:1",
            "the key `protocol` is missing",
            "write protocol: namespace/slug:version, such as private-demo/push:v1.0.0",
        ),
        (
            "push.yml:1:1",
            "the key `trigger` is missing",
            "write a condition, such as trigger: category is raw, or trigger: {} for none",
        ),
    ]


def test_read_pipeline_with_errors_keeps_what_can_be_used():
    file = read_pipeline("name: P\ntrigger: a is\nconfig: {a: 1}\npriority: 70\n", path="p.yml")
    assert file.parsed.value is None
    assert file.draft is not None
    assert (file.draft.protocol, file.draft.config) == ("", {"a": 1})


def test_read_pipeline_problems_from_elsewhere_are_placed_and_not_told_twice():
    file = read_pipeline("name: P\ntrigger: a is\nconfig: {a: 1}\n", path="p.yml")
    sources = ("protocol", "trigger", "config.a", "config.b")
    found = [Problem("c", source, Location("x"), source=source) for source in sources]
    shown = [(str(each.where), each.message) for each in file.with_problems(found)]
    assert shown[0] == ("p.yml:1:1", "the key `protocol` is missing")
    assert shown[2:] == [("p.yml:3:9", "config.b"), ("p.yml:3:10", "config.a")]
    assert len(shown) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("category is raw", Clause("category", "is", "raw")),
        ("  category   is   not raw ", Clause("category", "is not", "raw")),
        ("fileName contains two  words", Clause("fileName", "contains", "two  words")),
        ('fileName is " a, \\"b\\" "', Clause("fileName", "is", ' a, "b" ')),
        ("fileName is 'it''s'", Clause("fileName", "is", "it's")),
        ('fileName is "not"', Clause("fileName", "is", "not")),
        ("sourceId is one of a,b , c d", Clause("sourceId", "is one of", ("a", "b", "c d"))),
        ("sourceId is one of 'a, b', c", Clause("sourceId", "is one of", ("a, b", "c"))),
        ("labels.a.b does not exist", Clause("labels.a.b", "does not exist")),
        ("fileName matches ^a (b|c)$", Clause("fileName", "matches", "^a (b|c)$")),
        (
            {"key": "labels.plate no", "operator": "is", "value": 7},
            Clause("labels.plate no", "is", "7"),
        ),
        (
            {"key": "labels.p", "operator": "is one of", "value": ["a", 1.50]},
            Clause("labels.p", "is one of", ("a", "1.5")),
        ),
        ({"key": "tags", "operator": "exists", "value": None}, Clause("tags", "exists")),
    ],
)
def test_parse_pipeline_clause_is_read(text, expected):
    assert clause(text) == expected


def test_parse_pipeline_number_in_a_clause_stays_as_written():
    text = "{all: [{key: labels.p, operator: is, value: 7.10}]}"
    assert trigger(text).groups[0].clauses[0].value == "7.10"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", Condition()),
        ("{cron: '0 6 * * 1-5', zone: Europe/Berlin}", Schedule("0 6 * * 1-5", "Europe/Berlin")),
        ("{cron: ' */5  * * * *'}", Schedule("*/5 * * * *", "UTC")),
        (
            "{any: [tags exists, all: [ids exists]]}",
            Condition(
                OR, (Group(OR, (Clause("tags", "exists"),)), Group(AND, (Clause("ids", "exists"),)))
            ),
        ),
        (
            "{all: [any: [tags exists], ids exists]}",
            Condition(
                AND,
                (Group(OR, (Clause("tags", "exists"),)), Group(AND, (Clause("ids", "exists"),))),
            ),
        ),
    ],
)
def test_parse_pipeline_trigger_is_read(text, expected):
    assert trigger(text) == expected


@pytest.mark.parametrize("word", ["off", "oom_only", "constant"])
def test_parse_pipeline_retry_in_one_word_is_the_behavior(word):
    spec = parse(f"{HEAD}trigger: {{}}\nretry: {word}\n").unwrap(ConfigError)
    assert spec.retry == RetryPolicy(RetryBehavior(word))


QUOTES = 'put each value that holds quotes or commas in quotes, such as "a, b"'


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("catgory is raw", 11, "a file has no property `catgory`", "did you mean 'category'?"),
        ("label.p exists", 11, "a file has no property `label.p`", "did you mean 'labels.'?"),
        ("labels. exists", 11, "a file has no property `labels.`", "did you mean 'labels.'?"),
        (
            "tags start with a",
            16,
            "`start with a` begins with no operator",
            "did you mean 'starts with'?",
        ),
        (
            "fileName starst with a/long/name/of/many characters",
            20,
            "`starst with a/long/name/of/many characters` begins with no operator",
            "did you mean 'starts with'?",
        ),
        (
            "tags is urgent",
            16,
            "`tags` does not take `is`",
            "use one of: 'has a tag that is', 'has no tag that is', 'exists', 'does not exist'",
        ),
        ("category is rwa", 23, "'rwa' is no category", "did you mean 'RAW'?"),
        ("fileName is not", 10, "`is not` needs a value", ""),
        ("ids exists yes", 22, "`exists` takes no value", ""),
        ("fileName matches (", 28, "the pattern cannot be used: unclosed group", ""),
        (
            "fileName is 'a' b",
            23,
            "`'a' b` cannot be read as a value",
            QUOTES,
        ),
        (
            "fileName is one of a, 'b",
            30,
            "`a, 'b` cannot be read as a value",
            QUOTES,
        ),
    ],
)
def test_parse_pipeline_wrong_clause_is_placed_within_its_text(text, place, message, hint):
    assert faults(f'{HEAD}trigger: "{text}"\n') == [(f"push.yml:3:{place}", message, hint)]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("5", "3:10", "`trigger` must be a condition or a schedule, not a number"),
        ("[tags exists]", "3:10", "`trigger` must be a condition or a schedule, not a list"),
        ("{all: []}", "3:16", "`trigger.all` has no clauses"),
        ("{any: [all: []]}", "3:22", "`trigger.any[0].all` has no clauses"),
        ("{all: [tags exists], any: []}", "3:10", "`trigger` may hold `all` alone"),
        ("{all: [7]}", "3:17", "`trigger.all[0]` must be a clause, not a number"),
        ("{all: ['']}", "3:17", "the clause is empty"),
        (
            "{all: [any: [all: [tags exists]]]}",
            "3:23",
            "`trigger.all[0].any[0]` nests `all` too deep: conditions have two levels",
        ),
        ("{every: []}", "3:11", "unknown key `every` in `trigger`"),
        (
            "{all: [{key: ids, operater: is}]}",
            "3:28",
            "unknown key `operater` in `trigger.all[0]`",
        ),
        (
            "{all: [{key: ids, operator: is, value: [a]}]}",
            "3:49",
            "`is` takes a text, not a list",
        ),
        ("{all: [{key: ids, operator: is}]}", "3:17", "`is` needs a value"),
        ("{zone: UTC}", "3:10", "the key `cron` is missing in `trigger`"),
        (
            "{cron: '* * * *'}",
            "3:17",
            "'* * * *' is no schedule: a schedule has five fields: minute, hour, day of month, "
            "month, day of week",
        ),
        ("{cron: '60 * * * *'}", "3:17", "'60 * * * *' is no schedule: it has a bad minute"),
        (
            "{cron: '0 0 */31 * mon#3'}",
            "3:17",
            "'0 0 */31 * mon#3' is no schedule: it names a time that never comes",
        ),
        (
            "{cron: '* * * * *', zone: Berlin}",
            "3:36",
            "'Berlin' cannot be the zone: it is no IANA time zone that is known here",
        ),
    ],
)
def test_parse_pipeline_wrong_trigger_says_what_and_where(text, place, message):
    found = [fault[:2] for fault in faults(f"{HEAD}trigger: {text}\n")]
    assert (f"push.yml:{place}", message) in found


def test_parse_pipeline_too_many_clauses_are_refused():
    clauses = ", ".join(["tags exists"] * (MAX_CLAUSES + 1))
    (fault,) = faults(f"{HEAD}trigger: {{all: [{clauses}]}}\n")
    assert fault[1] == f"`trigger.all` has more than {MAX_CLAUSES} clauses"


@pytest.mark.parametrize(
    ("line", "column", "message", "hint"),
    [
        ("priorty: 1", 1, "unknown key `priorty`", "did you mean 'priority'?"),
        ("priority: 0", 11, "`priority` must be a whole number from 1 to 10, not 0", ""),
        ("priority: high", 11, "`priority` must be a number, not text", ""),
        (
            "max_parallel_workflows: -1",
            25,
            "`max_parallel_workflows` must be a whole number from 0 to 100000, not -1",
            "",
        ),
        (
            "limits: {network: nune}",
            19,
            "`limits.network` cannot be 'nune'",
            "did you mean 'none'?",
        ),
        (
            "limits: {cpus: 0}",
            16,
            "`limits.cpus` must be more than 0 and at most 1024, not 0",
            "",
        ),
        (
            "limits: {pids: 0}",
            16,
            "`limits.pids` must be a whole number from 1 to 1000000, not 0",
            "",
        ),
        (
            "timeout_minutes: 0",
            18,
            "`timeout_minutes` must be a whole number from 1 to 43200, not 0",
            "",
        ),
        (
            "retry: expontial",
            8,
            "`retry` cannot be 'expontial'",
            "did you mean 'exponential'?",
        ),
        (
            "retry: {max_retries: 11}",
            22,
            "`retry.max_retries` must be a whole number from 0 to 10, not 11",
            "",
        ),
        (
            "retry: {base_delay_s: 3601}",
            23,
            "`retry.base_delay_s` must be from 0 to 3600 seconds, not 3601",
            "",
        ),
        (
            "retry: {retries: 3}",
            9,
            "unknown key `retries` in `retry`",
            "did you mean 'max_retries'?",
        ),
        (
            "steps: {push: {memory_mb: 8193}}",
            27,
            "`steps.push.memory_mb` must be a whole number from 1 to 8192, not 8193",
            "",
        ),
        (
            "config: {a b: 1}",
            10,
            "`a b` is not a valid name",
            "it may hold letters, digits, `-` and `_`, and starts with a letter or digit",
        ),
        (
            "config: {a: {secret: A_b}}",
            22,
            "`config.a.secret` cannot be 'A_b'",
            "it may hold small letters, digits, `-` and `.`, at most 128 characters",
        ),
        (
            "config: {a: {setting: a/b}}",
            23,
            "`config.a.setting` cannot be 'a/b'",
            "it may hold letters, digits, `_`, `-` and `.`, at most 128 characters",
        ),
        (
            "config: {a: {ssm: /x/y/z, secret: true}}",
            19,
            "`config.a.ssm` names no secret: '/x/y/z'",
            "write /<environment>/<organisation>/org-secrets/<name>",
        ),
        ("labels: {team: 7}", 16, "`labels` must be text, not a number", 'put it in quotes: "7"'),
        (
            "labels: [{name: a, value: b}, {name: a, value: c}]",
            31,
            "label 'a' is given twice",
            "",
        ),
        (
            "run_on_deleted: yes",
            17,
            "`run_on_deleted` must be true or false, not text",
            "write true or false without quotes; yes, no, on and off are text",
        ),
    ],
)
def test_parse_pipeline_wrong_part_says_what_where_and_what_to_do(line, column, message, hint):
    text = f"{HEAD}trigger: {{}}\n{line}\n"
    assert faults(text) == [(f"push.yml:4:{column}", message, hint)]


@pytest.mark.parametrize(
    ("protocol", "column", "message"),
    [
        ("push", 11, "`protocol` cannot be 'push'"),
        ("common/push", 11, "`protocol` cannot be 'common/push'"),
        ("demo/push:v1.0.0", 11, "the protocol's namespace cannot be 'demo'"),
        ("common/pu sh:v1.0.0", 18, "the protocol's slug cannot be 'pu sh'"),
        ("common/push:1.0.0", 23, "the protocol's version cannot be '1.0.0'"),
        ("common/push:^v1", 23, "the protocol's version cannot be '^v1'"),
    ],
)
def test_parse_pipeline_wrong_protocol_points_at_its_part(protocol, column, message):
    found = faults(f"name: P\nprotocol: {protocol}\ntrigger: {{}}\n")
    assert [fault[:2] for fault in found] == [(f"push.yml:2:{column}", message)]


def test_parse_pipeline_reports_all_problems_at_once():
    messages = [fault[:2] for fault in faults("nme: P\npriority: 11\ntrigger: x is y\n")]
    assert messages == [
        ("push.yml:1:1", "unknown key `nme`"),
        ("push.yml:1:1", "the key `name` is missing"),
        ("push.yml:1:1", "the key `protocol` is missing"),
        ("push.yml:2:11", "`priority` must be a whole number from 1 to 10, not 11"),
        ("push.yml:3:10", "a file has no property `x`"),
    ]


@pytest.mark.parametrize("name", ["", " a", "a ", "a\\nb", "a" * 201])
def test_parse_pipeline_wrong_name_is_refused(name):
    (fault,) = faults(f'name: "{name}"\nprotocol: common/p:v1.0.0\ntrigger: {{}}\n')
    assert fault[2] == "one line of 1 to 200 characters, no space at its ends"


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@st.composite
def clauses(draw: Any) -> Clause:
    key = draw(st.sampled_from([*KEYS[1:], "metadata.x", "labels.y z"]))
    operator = draw(st.sampled_from([each for each in operators_of(key) if each != "matches"]))
    if operator in PRESENCE_OPERATORS:
        return Clause(key, operator)
    if operator == "is one of":
        return Clause(key, operator, tuple(draw(st.lists(TEXTS, min_size=1, max_size=3))))
    return Clause(key, operator, draw(TEXTS))


def written(each: Clause) -> Any:
    """A clause as text if its key lets that be, else as a mapping."""
    values = [each.value] if isinstance(each.value, str) else each.value or ()
    if " " in each.key:
        shown = each.value if isinstance(each.value, str | None) else list(each.value)
        return {"key": each.key, "operator": each.operator, "value": shown}
    return f"{each.key} {each.operator} {', '.join(map(flow, values))}"


@given(clauses())
def test_parse_pipeline_any_clause_can_be_written(each):
    assert clause(written(each)) == each


@given(
    st.sampled_from(Operator),
    st.lists(
        st.tuples(st.sampled_from(Operator), st.lists(clauses(), min_size=1, max_size=3)),
        min_size=1,
        max_size=3,
    ),
)
def test_parse_pipeline_any_condition_can_be_written(operator, groups):
    words = {AND: "all", OR: "any"}
    tree = {words[operator]: [{words[op]: [*map(written, inner)]} for op, inner in groups]}
    expected = Condition(operator, tuple(Group(op, tuple(inner)) for op, inner in groups))
    assert trigger(flow(tree)) == expected


@given(st.lists(clauses(), min_size=1, max_size=3))
def test_parse_pipeline_condition_that_is_read_can_be_decided(inner):
    condition = trigger(flow({"all": [*map(written, inner)]}))
    assert match(condition, {"category": ("RAW",)}).reason


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_parse_pipeline_any_clause_text_is_read_or_refused(text):
    parsed = parse_pipeline(f"{HEAD}trigger: {flow(text)}\n", path="p.yml")
    assert (parsed.value is None) == bool(parsed.errors)

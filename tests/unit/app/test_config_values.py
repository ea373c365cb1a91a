"""Texts of the command line become typed config values, or clear problems, all at once."""

import pytest

from stepline.app.config_values import check_values, parse_values
from stepline.app.load import restore_protocol
from stepline.errors import ConfigError

PATH = "protocols/p/protocol.yml"
ITEMS = {
    "name": {"label": "Name", "type": "string", "required": True},
    "speed": {"label": "Speed", "type": "number"},
    "fast": {"label": "Fast", "type": "boolean"},
    "tree": {"label": "Tree", "type": "object"},
    "list": {"label": "List", "type": "array"},
    "key": {"label": "Key", "type": "secret", "required": True},
    "spare": {"label": "Spare", "type": "secret"},
}
TASK = {"namespace": "common", "slug": "s", "version": "v1.0.0", "function": "f"}
PROTOCOL = restore_protocol(
    {"protocolSchema": "v3", "config": ITEMS, "steps": [{"id": "a", "task": TASK}]}
)


def problems_of(call):
    with pytest.raises(ConfigError) as caught:
        call()
    assert {str(problem.where) for problem in caught.value.problems} == {PATH}
    return [(problem.code, problem.message, problem.hint) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("name", "plain words", "plain words"),
        ("name", "12", "12"),
        ("name", '{"a": 1}', '{"a": 1}'),
        ("name", "", ""),
        ("speed", "12", 12),
        ("speed", "-4.5e1", -45.0),
        ("fast", "true", True),
        ("tree", '{"a": [1, null]}', {"a": [1, None]}),
        ("list", "[]", []),
    ],
)
def test_parse_values_text_of_its_type_is_the_value(key, text, value):
    found = parse_values({key: text}, PROTOCOL, path=PATH)
    assert found == {key: value}
    assert type(found[key]) is type(value)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("speed", "fast"),
        ("speed", ""),
        ("speed", "true"),
        ("speed", '"1"'),
        ("speed", "NaN"),
        ("speed", "-Infinity"),
        ("speed", "1e999"),
        ("speed", "1 2"),
        ("fast", "1"),
        ("fast", "True"),
        ("fast", "yes"),
        ("tree", "[]"),
        ("tree", "{"),
        ("tree", '{"a": 1, "a": 2}'),
        ("tree", '{"a": NaN}'),
        ("list", "{}"),
        ("list", "[" * 100_000),
    ],
    ids=lambda text: text[:20],
)
def test_parse_values_text_of_another_type_is_refused(key, text):
    [problem] = problems_of(lambda: parse_values({key: text}, PROTOCOL, path=PATH))
    code, message, hint = problem
    item = ITEMS[key]
    assert code == "wrong-type"
    assert message.startswith(f"config '{key}' ({item['label']}) must be of type {item['type']}")
    assert len(message) < 300
    assert hint.startswith("give ")


def test_parse_values_broken_json_says_where_it_is_broken():
    [(_, message, _)] = problems_of(
        lambda: parse_values({"tree": '{"a": 1, "a": 2}'}, PROTOCOL, path=PATH)
    )
    assert "at column 10" in message
    assert "'a'" in message or "`a`" in message


def test_parse_values_secret_is_refused_without_showing_it():
    [(code, message, hint)] = problems_of(
        lambda: parse_values({"key": "hunter2-hunter2"}, PROTOCOL, path=PATH)
    )
    assert (code, message) == ("secret-as-value", "config 'key' (Key) is a secret")
    assert "hunter2" not in message + hint
    assert "--secret key=env:VARIABLE" in hint


def test_parse_values_unknown_key_names_the_nearest_and_all():
    [(code, message, hint)] = problems_of(
        lambda: parse_values({"speeed": "1"}, PROTOCOL, path=PATH)
    )
    assert (code, message) == ("unknown-config", "the protocol has no config key 'speeed'")
    assert hint == f"did you mean 'speed'? it has: {', '.join(ITEMS)}"


def test_parse_values_reports_all_problems_at_once():
    texts = {"speeed": "1", "speed": "x", "key": "y", "name": "fine"}
    found = problems_of(lambda: parse_values(texts, PROTOCOL, path=PATH))
    assert [code for code, _, _ in found] == ["unknown-config", "wrong-type", "secret-as-value"]


def test_check_values_complete_values_pass():
    check_values(PROTOCOL, {"name": "n"}, secrets=["key"], path=PATH)
    check_values(
        PROTOCOL, {"name": "n", "speed": 0, "fast": False}, secrets=["key", "spare"], path=PATH
    )


def test_check_values_missing_names_key_label_and_option():
    found = problems_of(lambda: check_values(PROTOCOL, {}, secrets=[], path=PATH))
    assert found == [
        ("missing-value", "config 'name' (Name) is required", "give it by --config name=VALUE"),
        (
            "missing-value",
            "config 'key' (Key) is required",
            "give it by --secret key=env:VARIABLE",
        ),
    ]


@pytest.mark.parametrize(
    ("secret", "code", "hint"),
    [
        ("keyy", "unknown-config", "did you mean 'key'?"),
        ("speed", "value-as-secret", "give it by --config speed=VALUE"),
    ],
)
def test_check_values_wrong_secret_is_refused(secret, code, hint):
    [problem] = problems_of(
        lambda: check_values(PROTOCOL, {"name": "n"}, secrets=["key", secret], path=PATH)
    )
    assert problem[0] == code
    assert hint in problem[2]

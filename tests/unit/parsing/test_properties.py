"""What holds for every text: parsers return problems, and raise nothing."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepline.parsing import parse_config, parse_manifest, parse_protocol
from stepline.parsing.json_tree import parse_json
from stepline.parsing.yaml_tree import parse_yaml

PIECES = st.sampled_from(
    [
        *"{}[]:,-?|>'\"&*!%@#\n\t \r",
        "a",
        "1",
        "~",
        ": ",
        "- ",
        "&a ",
        "*a",
        "!!str ",
        "\n  ",
        "$( a )",
    ]
)
TEXT = st.text() | st.lists(PIECES, max_size=40).map("".join)
KEYS = st.sampled_from(
    "protocolSchema steps config constants task id if input options label type default version "
    "slug namespace function functions language runtime allowedIds labels name value".split()
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["v3", "v1.0.0", "a", "$( steps.a )", "$( config )", "string", "python"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)
bounded = settings(max_examples=200, deadline=None)


@given(TEXT)
@example("\ud800")
@example("%YAML 3.0\n---\na")
@example("a: !<tag:yaml.org,2002:int> x")
@bounded
def test_parse_yaml_any_text_gives_a_root_or_problems(text):
    document = parse_yaml(text, path="p.yml")
    if document.root is not None:
        json.dumps(document.root.plain())
    assert all(p.where.line >= 1 and p.where.column >= 1 for p in document.problems)


@given(TEXT | VALUES.map(json.dumps))
@bounded
def test_parse_json_any_text_agrees_with_json(text):
    document = parse_json(text, path="c.json")
    try:
        expected = json.loads(text)
    except ValueError:
        assert document.root is None
    else:
        assert document.problems or document.root.plain() == expected


@pytest.mark.parametrize("parse", [parse_protocol, parse_config, parse_manifest])
@given(value=VALUES)
@bounded
def test_parse_any_document_gives_a_model_or_errors(parse, value):
    parsed = parse(json.dumps(value), path="x.json")
    assert (parsed.value is None) == bool(parsed.errors)
    assert all(p.where.line and p.where.column for p in parsed.problems)


@given(inputs=VALUES, name=st.sampled_from(["a", "b-2"]))
@bounded
def test_parse_protocol_any_input_gives_a_model_or_errors(inputs, name):
    task = {"namespace": "common", "slug": "s", "version": "v1.0.0", "function": "f"}
    steps = [{"id": name, "task": task, "input": inputs}]
    text = json.dumps({"protocolSchema": "v3", "steps": steps, "onFailed": inputs})
    parsed = parse_protocol(text, path="protocol.yml")
    assert (parsed.value is None) == bool(parsed.errors)

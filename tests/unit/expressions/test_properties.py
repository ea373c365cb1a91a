"""What holds for every text: parsing raises one error class only, evaluation is total."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from stepline.errors import ExpressionError
from stepline.expressions import evaluate, infer, is_expression, parse
from stepline.expressions.types import (
    ANY,
    BOOLEAN,
    NULL,
    NUMBER,
    STRING,
    Object,
    Steps,
    type_of_value,
    union,
)

PIECES = st.sampled_from(
    "$( ) ( [ ] . , ; ' \" \\ / // /* */ ?. ? : = == + - ! & | ` { } a config steps constants "
    "x 0 1 0x 1e 1n _ \\u and or not coalesce isNull true null undefined \n \ufeff ... #".split(" ")
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)
ROOTS = {
    "config": Object({"flag": BOOLEAN, "text": union([STRING, NULL]), "free": ANY, "n": NUMBER}),
    "constants": type_of_value({"list": [1, [True]], "on": True}),
    "steps": Steps([ANY], {"a": 0}),
}
ACCESS = st.sampled_from(["", ".a", "[0]", "['x y']", ".flag", ".free", ".list", ".text"])
REFERENCE = st.builds(
    lambda root, keys: root + "".join(keys),
    st.sampled_from(["config", "config.free", "constants", "steps", "steps.a", "steps[0]"]),
    st.lists(ACCESS, max_size=3),
)
LEAF = REFERENCE | st.sampled_from(["1", "-2.5", "'t'", "true", "false", "null"])
CALL = st.sampled_from(["and", "or", "not", "coalesce", "isNull", "isString", "isNumber"])
TREE = st.recursive(
    LEAF,
    lambda inner: st.builds(
        lambda name, args: f"{name}({', '.join(args)})", CALL, st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)


def fault(text):
    """The error that parsing gives, None if the text is an expression."""
    try:
        parse(text)
    except ExpressionError as error:
        return error
    return None


@given(st.text() | st.lists(PIECES).map("".join))
@settings(max_examples=300, deadline=None)
def test_parse_any_text_raises_nothing_but_expression_errors(inside):
    text = f"$({inside})"
    error = fault(text)
    assert error is None or (error.code and 0 <= error.offset <= len(text))


@given(TREE, JSON, JSON)
@settings(max_examples=300, deadline=None)
def test_evaluate_typed_expression_is_total(source, free, output):
    text = f"$( {source} )"
    try:
        tree = parse(text)
        kind = infer(tree, ROOTS)
    except ExpressionError:
        return
    scope = {
        "config": {"flag": True, "text": None, "free": free, "n": 1},
        "constants": {"list": [1, [True]], "on": True},
        "steps": [{"id": "a", "output": output, "isSuccess": True}],
    }
    value = evaluate(tree, scope)
    json.dumps(value)
    if kind == BOOLEAN:
        assert isinstance(value, bool)


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_is_expression_any_text_agrees_with_parse(text):
    error = fault(text)
    refused = error is not None and error.code == "not-an-expression"
    assert refused == (not is_expression(text))

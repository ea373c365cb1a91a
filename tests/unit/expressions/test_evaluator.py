"""Constants, nested values and what evaluation promises beyond the conformance table."""

import pytest

from stepline.errors import ExpressionError
from stepline.expressions import constant_order, evaluate, parse, resolve, resolve_constants

SCOPE = {"config": {"x": 1}, "workflow": {"id": "w"}}


def test_evaluate_does_not_copy_the_scope():
    rows = [1, 2]
    assert evaluate(parse("$( config.rows )"), {"config": {"rows": rows}}) is rows


def test_parse_same_text_gives_the_same_tree():
    assert parse("$( config.x )") is parse("$( config.x )")


def test_resolve_constants_that_use_others_gives_them_in_their_own_order():
    constants = {"a": {"inner": "$( constants.b )"}, "b": ["$( config.x )", "$( workflow.id )"]}
    resolved = resolve_constants(constants, SCOPE)
    assert resolved == {"a": {"inner": [1, "w"]}, "b": [1, "w"]}
    assert list(resolved) == ["a", "b"]


def test_resolve_constants_ignores_constants_of_the_scope():
    scope = {**SCOPE, "constants": {"b": "old"}}
    assert resolve_constants({"a": "$( constants.b )"}, scope) == {"a": None}


@pytest.mark.parametrize(
    ("constants", "cycle"),
    [
        ({"a": "$( constants.a )"}, "a → a"),
        ({"a": "$( constants )"}, "a → a"),
        ({"a": "$( constants.b.x )", "b": ["$( constants.c )"], "c": "$( constants.a )"}, "a → b"),
    ],
    ids=["itself", "all", "three"],
)
def test_resolve_constants_cycle_is_refused_with_its_names(constants, cycle):
    with pytest.raises(ExpressionError) as caught:
        resolve_constants(constants, SCOPE)
    assert caught.value.code == "constant-cycle"
    assert "`a` uses itself" in caught.value.what
    assert cycle in caught.value.hint


def test_constant_order_long_chain_needs_no_recursion():
    chain = {f"c{i}": f"$( constants.c{i + 1} )" for i in range(5000)} | {"c5000": 1}
    assert constant_order(chain)[:2] == ["c5000", "c4999"]
    assert resolve_constants(chain, SCOPE)["c0"] == 1


def test_resolve_constants_that_double_at_each_step_are_refused():
    doubling = {f"c{i}": [f"$( constants.c{i + 1} )"] * 2 for i in range(60)} | {"c60": 1}
    with pytest.raises(ExpressionError) as caught:
        resolve_constants(doubling, SCOPE)
    assert caught.value.code == "too-large"


def test_resolve_value_that_is_too_deep_is_refused():
    value = "leaf"
    for _ in range(200):
        value = [value]
    with pytest.raises(ExpressionError) as caught:
        resolve(value, SCOPE)
    assert caught.value.code == "too-deep"

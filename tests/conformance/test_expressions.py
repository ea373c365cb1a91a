"""Run every row of the conformance table of expressions."""

import json
from pathlib import Path

import pytest

from stepline.errors import ExpressionError
from stepline.expressions import evaluate, infer, parse, resolve
from stepline.expressions.types import (
    ANY,
    BOOLEAN,
    NULL,
    NUMBER,
    SECRET,
    STRING,
    UNKNOWN,
    Array,
    Const,
    Object,
    Record,
    Steps,
    union,
)

TABLE = json.loads(Path(__file__).with_name("expressions.json").read_text(encoding="utf-8"))
NAMED = {str(kind): kind for kind in (ANY, BOOLEAN, NULL, NUMBER, SECRET, STRING, UNKNOWN)}


def rows(*keys):
    """The rows that have all of these keys."""
    found = [row for row in TABLE["rows"] if set(keys) <= set(row)]
    return pytest.mark.parametrize("row", found, ids=[row["name"] for row in found])


def type_from(spec):
    """A type as the table writes it."""
    if isinstance(spec, str):
        return NAMED[spec]
    if isinstance(spec, list):
        return union(type_from(option) for option in spec)
    if "const" in spec:
        return Const(spec["const"])
    if "record" in spec:
        return Record(type_from(spec["record"]))
    if "steps" in spec:
        return Steps([type_from(state) for state in spec["steps"]], spec["ids"], own=spec["own"])
    rest = type_from(spec["rest"]) if "rest" in spec else None
    if "array" in spec:
        return Array([type_from(item) for item in spec["array"]], rest)
    return Object({key: type_from(value) for key, value in spec["object"].items()}, rest)


def environment(name):
    return {root: type_from(spec) for root, spec in TABLE["environments"][name].items()}


def fault(row):
    """The error that a row's expression gives."""
    try:
        tree = parse(row["expression"])
        infer(tree, environment(row["environment"]))
    except ExpressionError as error:
        return error
    return pytest.fail("the expression has no fault")


def same(value, expected):
    """Equality that tells true from 1."""
    return json.dumps(value, sort_keys=True) == json.dumps(expected, sort_keys=True)


@rows("expression", "value")
def test_evaluate_row_gives_the_value(row):
    assert same(evaluate(parse(row["expression"]), TABLE["scopes"][row["scope"]]), row["value"])


@rows("value", "result")
def test_resolve_row_gives_the_result(row):
    assert same(resolve(row["value"], TABLE["scopes"][row["scope"]]), row["result"])


@rows("expression", "type")
def test_infer_row_gives_the_type(row):
    assert str(infer(parse(row["expression"]), environment(row["environment"]))) == row["type"]


@rows("expression", "error")
def test_faulty_row_gives_code_and_offset(row):
    error = fault(row)
    assert {"code": error.code, "offset": error.offset} == row["error"]
    assert error.what
    assert not error.what.endswith(".")


def test_table_has_enough_rows_with_unique_names():
    names = [row["name"] for row in TABLE["rows"]]
    assert len(names) == len(set(names)) >= 200


def test_table_rows_are_all_run():
    kinds = ({"expression", "value"}, {"value", "result"}, {"expression", "type"}, {"error"})
    assert [row for row in TABLE["rows"] if not any(kind <= set(row) for kind in kinds)] == []

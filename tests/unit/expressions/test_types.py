"""Assignability and access of types."""

import pytest

from stepline.expressions.types import (
    ANY,
    BOOLEAN,
    NEVER,
    NULL,
    NUMBER,
    SECRET,
    STRING,
    UNKNOWN,
    AccessFault,
    Array,
    Const,
    Object,
    Record,
    Steps,
    type_of_value,
    union,
)

NAMES = Array([], STRING)
POINT = Object({"x": NUMBER, "y": NUMBER})

FITS = [
    (STRING, Const("a")),
    (STRING, SECRET),
    (NUMBER, Const(1.5)),
    (BOOLEAN, Const(False)),
    (BOOLEAN, ANY),
    (ANY, UNKNOWN),
    (UNKNOWN, NULL),
    (STRING, NEVER),
    (union([STRING, NULL]), NULL),
    (union([STRING, NULL]), union([NULL, Const("a")])),
    (Record(STRING), type_of_value({"a": "b"})),
    (POINT, type_of_value({"x": 1, "y": 2})),
    (POINT, type_of_value({"x": 1, "y": 2, "z": 3})),
    (Object({}, NUMBER), type_of_value({"a": 1})),
    (Object({"a": union([NUMBER, NULL])}), type_of_value({})),
    (NAMES, type_of_value(["a", "b"])),
    (NAMES, type_of_value([])),
    (Array([NUMBER], STRING), type_of_value([1, "a"])),
]
FAILS = [
    (STRING, Const(1)),
    (SECRET, STRING),
    (NUMBER, Const(True)),
    (Const(1), Const(True)),
    (BOOLEAN, UNKNOWN),
    (BOOLEAN, union([BOOLEAN, NULL])),
    (STRING, NULL),
    (NEVER, STRING),
    (Record(STRING), type_of_value({"a": 1})),
    (POINT, type_of_value({"x": 1})),
    (POINT, type_of_value([1, 2])),
    (Object({}, NUMBER), type_of_value({"a": "b"})),
    (NAMES, type_of_value(["a", 1])),
    (Array([NUMBER], STRING), type_of_value(["a"])),
]


@pytest.mark.parametrize(("wanted", "given"), FITS, ids=str)
def test_accepts_assignable_type_holds(wanted, given):
    assert wanted.accepts(given)


@pytest.mark.parametrize(("wanted", "given"), FAILS, ids=str)
def test_accepts_other_type_does_not_hold(wanted, given):
    assert not wanted.accepts(given)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([STRING, NULL, STRING], "string | null"),
        ([union([STRING, NULL]), NUMBER], "string | null | number"),
        ([STRING, ANY], "any"),
        ([STRING, UNKNOWN], "unknown"),
        ([NEVER, STRING], "string"),
        ([], "never"),
    ],
)
def test_union_of_types_has_the_text(parts, text):
    assert str(union(parts)) == text


@pytest.mark.parametrize(
    ("container", "key", "code", "reason"),
    [
        (POINT, "z", "unknown-member", "has no member `z`"),
        (POINT, 0, "unknown-member", "has no member `0`"),
        (STRING, "length", "invalid-access", "is of type string"),
        (union([POINT, NULL]), "x", "possibly-null", "may be null"),
        (Steps([POINT], {"a": 0, "b": 1}, own=1), "b", "forward-reference", "this step itself"),
        (Steps([POINT], {"a": 0, "c": 2}, own=1), "c", "forward-reference", "comes later"),
        (Steps([POINT], {"a": 0}), "d", "unknown-step", "has no step `d`"),
    ],
)
def test_access_what_is_not_there_says_why(container, key, code, reason):
    with pytest.raises(AccessFault) as caught:
        container.access(key)
    assert caught.value.code == code
    assert reason in caught.value.reason


def test_access_misspelt_member_hints_at_the_nearest():
    with pytest.raises(AccessFault) as caught:
        Object({"username": STRING, "key": STRING}).access("usrname")
    assert caught.value.hint == "did you mean 'username'?"


def test_shown_long_type_is_shortened():
    long = Object({f"member{i}": STRING for i in range(50)})
    assert len(long.shown) <= 60
    assert long.shown.endswith("…")

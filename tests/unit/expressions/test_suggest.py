"""Hints that name what exists: the nearest name, all names, and two hints in one text."""

import re
from pathlib import Path

import pytest

import stepline
from stepline.expressions.suggest import nearest, nearest_hint, nearest_of_all, or_else

KNOWN = ["decode", "enrich"]


@pytest.mark.parametrize(
    ("name", "near"), [("decod", "decode"), ("decode", "decode"), ("xyz", "")], ids=repr
)
def test_nearest_is_a_known_name_or_nothing(name, near):
    assert nearest(name, KNOWN) == near


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("decod", KNOWN, "did you mean 'decode'?"),
        ("xyz", KNOWN, "use one of: 'decode', 'enrich'"),
        ("xyz", [], "there is none"),
        ("xyz", range(11), "use one of: " + ", ".join(f"'{n}'" for n in range(10)) + ", …"),
    ],
    ids=["near", "not near", "none", "many"],
)
def test_nearest_hint_names_the_nearest_or_what_exists(name, known, hint):
    assert nearest_hint(name, known, none="there is none") == hint


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("decod", KNOWN, "did you mean 'decode'? it has: decode, enrich"),
        ("xyz", KNOWN, "it has: decode, enrich"),
        ("xyz", [], "it has: none"),
    ],
    ids=["near", "not near", "none"],
)
def test_nearest_of_all_names_all_after_the_nearest(name, known, hint):
    assert nearest_of_all(name, known, those="it has:") == hint


@pytest.mark.parametrize(
    ("hint", "other", "both"),
    [
        ("did you mean 'a'?", "set it", "did you mean 'a'? Or set it"),
        ("use one of: 'a', 'b'", "set it", "use one of: 'a', 'b'; or set it"),
        ("", "set it", "set it"),
        ("did you mean 'a'?", "", "did you mean 'a'?"),
    ],
    ids=["question", "list", "no first", "no second"],
)
def test_or_else_keeps_two_hints_apart(hint, other, both):
    assert or_else(hint, other) == both


def test_nearest_names_are_looked_for_in_one_module():
    home = Path(stepline.__file__).parent
    users = [
        path.relative_to(home).as_posix()
        for path in home.rglob("*.py")
        if re.search(r"\bdifflib\b", path.read_text())
    ]
    assert users == ["expressions/suggest.py"]

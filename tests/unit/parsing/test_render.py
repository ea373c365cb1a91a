"""Problems as text."""

import pytest

from stepline.errors import Location, Problem
from stepline.parsing import render_problem


def rendered(source, line, column, **fields):
    problem = Problem("code", "it is wrong", Location("p.yml", line, column), **fields)
    return render_problem(problem, source).split("\n")


def test_render_problem_shows_place_line_caret_and_hint():
    assert rendered("a: 1\nbc: 2\n", 2, 3, hint="do this") == [
        "p.yml:2:3: error: it is wrong [code]",
        "  bc: 2",
        "    ^",
        "  hint: do this",
    ]


def test_render_problem_without_source_or_place_is_one_line():
    assert rendered(None, 2, 3) == ["p.yml:2:3: error: it is wrong [code]"]
    assert rendered("a", None, None, severity="warning") == ["p.yml: warning: it is wrong [code]"]


@pytest.mark.parametrize(
    ("line", "column"), [(9, 1), (0, 1), (2, 1)], ids=["past", "zero", "blank"]
)
def test_render_problem_where_no_line_is_shows_none(line, column):
    assert len(rendered("a\n\n", line, column)) == 1


@pytest.mark.parametrize(
    ("source", "column", "indent"),
    [("\t\tx", 3, "\t\t"), ("日本x", 3, "    "), ("e\u0301x", 3, " "), ("a\uff42x", 3, "   ")],
    ids=["tabs", "wide", "combining", "full width"],
)
def test_render_problem_caret_stands_under_the_character(source, column, indent):
    assert rendered(source, 1, column)[2] == f"  {indent}^"


def test_render_problem_long_line_is_cut_around_the_place():
    shown, caret = rendered("x" * 5000 + "FAULT" + "y" * 5000, 1, 5001)[1:]
    assert len(shown) <= 102
    assert shown[len(caret) - 1 :].startswith("FAULT")


def test_render_problem_control_characters_cannot_steer_the_terminal():
    problem = Problem("c", "bad \x1b[31m", Location("p.yml", 1, 1), "\x07 bell")
    text = render_problem(problem, "a\x1b]0;x\x07")
    assert not any(char in text for char in "\x1b\x07")

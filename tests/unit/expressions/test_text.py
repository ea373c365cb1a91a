"""What counts as an expression."""

import pytest

from stepline.expressions import is_expression
from stepline.expressions.text import body_span


@pytest.mark.parametrize(
    "value",
    ["$( a )", "$()", "  $(a)  ", "$(\n a\n)", "\ufeff$( a )\u2029", "$( a ) and $( b )"],
)
def test_is_expression_whole_text_holds(value):
    assert is_expression(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "$(",
        "$(a",
        "a)",
        "x $( a )",
        "$( a ) x",
        "$$( a )",
        "\\$( a )",
        "$ ( a )",
        "\x85$( a )",
        None,
        1,
        True,
        ["$( a )"],
    ],
    ids=repr,
)
def test_is_expression_other_values_do_not_hold(value):
    assert not is_expression(value)


def test_body_span_with_outer_space_covers_the_inside():
    text = "  $( a )\n"
    start, end = body_span(text)
    assert text[start:end] == " a "

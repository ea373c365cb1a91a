"""What counts as an expression's text, and which characters it may hold.

Source:
    ECMAScript 2025, sections 12.2 (white space) and 12.3 (line terminators), since
    expressions are a part of that language.
"""

from __future__ import annotations

LINE_ENDS = "\n\r\u2028\u2029"
SPACE = (
    "\t\v\f \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u202f\u205f\u3000\ufeff" + LINE_ENDS
)


def is_expression(value: object) -> bool:
    """Tell whether a value is an expression: text that is ``$( … )`` as a whole.

    White space around it does not count. There is no interpolation: text with
    anything else before ``$(`` or after the last ``)`` is plain text.
    """
    if not isinstance(value, str) or "$(" not in value:
        return False
    text = value.strip(SPACE)
    return text.startswith("$(") and text.endswith(")")


def body_span(text: str) -> tuple[int, int]:
    """Return start and end offset of what is between ``$(`` and ``)``.

    Args:
        text: Text for which `is_expression` holds.
    """
    start = len(text) - len(text.lstrip(SPACE)) + len("$(")
    end = len(text.rstrip(SPACE)) - len(")")
    return start, end


def starts_name(char: str) -> bool:
    """Tell whether a name may start with this character."""
    return char.isidentifier() or char == "$"


def continues_name(char: str) -> bool:
    """Tell whether a name may go on with this character."""
    return char == "$" or ("_" + char).isidentifier() or char in "\u200c\u200d"

"""Comparisons of a column with texts and bounds."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, true

_COMPARISONS = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def text_given(text: str) -> bool:
    """Whether a text is one that could be stored."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def between(column: Any, limits: Mapping[str, Any]) -> ColumnElement[bool]:
    """Return that a column keeps bounds named ``gt``, ``gte``, ``lt`` and ``lte``."""
    return and_(true(), *(_COMPARISONS[name](column, bound) for name, bound in limits.items()))


def fits(column: Any, start: str) -> ColumnElement[bool]:
    """Return that the text of a column begins with another."""
    end = end_of(start)
    return and_(column >= start, column < end) if end else and_(true(), column >= start)


def end_of(prefix: str) -> str:
    """Return the least text after all that begin with a prefix, empty where there is none."""
    for at in range(len(prefix) - 1, -1, -1):
        following = ord(prefix[at]) + 1
        if following == 0xD800:  # surrogates are no characters
            following = 0xE000
        if following <= 0x10FFFF:
            return prefix[:at] + chr(following)
    return ""

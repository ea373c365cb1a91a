"""How a search compares a stored value with one given in a query.

Source:
    Elasticsearch reference: term query, range query (missing date components),
    numeric, boolean and keyword field types.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}

_DATE_LENGTH = len("2024-01-31")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def same(stored: Any, wanted: Any, *, fold: bool = False) -> bool:
    """Return whether a stored leaf is the wanted scalar, whose type follows the leaf's.

    Args:
        stored: A leaf of the document.
        wanted: Scalar of the query.
        fold: Whether upper and lower case are the same.
    """
    if isinstance(stored, bool):
        return text_of(stored) == text_of(wanted)
    if isinstance(stored, (int, float)):
        return stored == _number(wanted)
    if not isinstance(stored, str):
        return False
    text = text_of(wanted)
    return stored.lower() == text.lower() if fold else stored == text


def text_of(value: Any) -> str:
    """Return a scalar as a query's text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def in_bound(stored: Any, name: str, *, bound: Any) -> bool:
    """Return whether a stored leaf is within one bound of a range.

    Numbers compare as numbers, times as times, other text by its characters.

    Args:
        stored: A leaf of the document.
        name: ``gt``, ``gte``, ``lt`` or ``lte``.
        bound: Number, or text; a number bounds a time in milliseconds since the epoch.
    """
    compare = COMPARISONS[name]
    if isinstance(stored, bool):
        return False
    if isinstance(stored, (int, float)):
        number = _number(bound)
        return number is not None and compare(stored, number)
    if not isinstance(stored, str):
        return False
    moment, limit = instant(stored), instant(bound, round_up=name in ("gt", "lte"))
    if moment is not None and limit is not None:
        return compare(moment, limit)
    return compare(stored, text_of(bound))


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def instant(value: Any, *, round_up: bool = False) -> datetime | None:
    """Read an ISO 8601 date or time, UTC where it names no zone.

    Args:
        value: Text, or milliseconds since the epoch.
        round_up: Whether a date without time means its last microsecond.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return EPOCH + timedelta(milliseconds=value)
        except (OverflowError, ValueError):
            return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    if len(value) == _DATE_LENGTH and round_up:
        moment = datetime.combine(moment, time.max)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

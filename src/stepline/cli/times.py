"""Times as people type them: ``7d`` ago, or a date."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_moment(text: str, *, now: datetime) -> str:
    """Return a time as the API writes it: ISO 8601, UTC, with milliseconds.

    Args:
        text: ``90s``, ``30m``, ``12h``, ``7d`` or ``2w`` ago; or an ISO 8601 date or time,
            local unless it names its offset from UTC.
        now: The time, with its zone.

    Raises:
        ValueError: It is neither.
    """
    text = text.strip()
    if ago := _AGO.fullmatch(text):
        at = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    else:
        at = datetime.fromisoformat(text)
    at = at.astimezone(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def moment(value: str) -> str:
    """Return a time that was typed as the API writes it; the type of an option.

    Raises:
        BadParameter: It is none.
    """
    try:
        return parse_moment(value, now=datetime.now(UTC))
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is no time; write 7d, 12h, 30m, or a date as in 2026-01-31"
        ) from None


def shown(moment: object) -> str:
    """Return an API's time for people: UTC, to the second."""
    text = str(moment or "")
    return text[:19].replace("T", " ") + "Z" if len(text) > 19 else text

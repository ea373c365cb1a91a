"""Times that people and programs give, in the form that the service stores times in."""

from __future__ import annotations

from datetime import UTC, timedelta

from stepline.engine.values import instant
from stepline.errors import UserError

_MS = timedelta(milliseconds=1)


def stored_time(text: str) -> str:
    """Return a time as times are stored: UTC, with milliseconds, so that text orders as time.

    Args:
        text: ISO 8601 date or time, UTC where it names no zone; may be empty.

    Returns:
        The first moment that can be stored at or after it; empty for an empty text.

    Raises:
        UserError: It is no time.
    """
    if not text:
        return ""
    moment = instant(text)
    try:
        if moment is None:
            raise ValueError
        moment = moment.astimezone(UTC)
        beyond = moment.microsecond % 1000
        moment += _MS - timedelta(microseconds=beyond) if beyond else timedelta()
    except (ValueError, OverflowError):
        raise UserError(
            f"'{text}' is no time", hint="write ISO 8601, as in 2026-01-31T12:00:00Z"
        ) from None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z".rjust(24, "0")

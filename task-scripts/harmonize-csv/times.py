"""Points in time as instruments write them, in UTC."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ISO = "ISO 8601"


def zone(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises:
        ValueError: There is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"the time zone '{name}' is not known; use a name such as Europe/Berlin"
        ) from error


def moment(text: str, formats: Sequence[str], local: tzinfo | None) -> str:
    """Return a point in time as ISO 8601 in UTC.

    Args:
        text: As it stands in the file.
        formats: As `datetime.strptime` has them; none for ISO 8601.
        local: Time zone of a text that names none.

    Raises:
        ValueError: It is no such time, or it is open which one is meant.
    """
    found = _parsed(text, formats)
    if found.tzinfo is None:
        found = _located(found, text, local)
    in_utc = found.astimezone(UTC)
    precision = "milliseconds" if in_utc.microsecond else "seconds"
    return in_utc.isoformat(timespec=precision).replace("+00:00", "Z")


def day(text: str, formats: Sequence[str]) -> str:
    """Return a date as ISO 8601.

    Raises:
        ValueError: It is none.
    """
    if formats:
        return _parsed(text, formats).date().isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"'{text}' is no date in the form {ISO}") from None


def _parsed(text: str, formats: Sequence[str]) -> datetime:
    for form in formats:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007  (its zone comes after)
        except ValueError:
            continue
    if not formats:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    raise ValueError(f"'{text}' is not in the form {' or '.join(formats) or ISO}")


def _located(found: datetime, text: str, local: tzinfo | None) -> datetime:
    if local is None:
        raise ValueError(f"'{text}' names no time zone: give 'time_zone'")
    early, late = (found.replace(tzinfo=local, fold=fold) for fold in (0, 1))
    if early.utcoffset() == late.utcoffset():
        return early
    # In spring an hour is left out, in autumn one comes twice.
    if early.astimezone(UTC).astimezone(local).replace(tzinfo=None) != found:
        raise ValueError(f"there is no '{text}' in {local}: the clocks were put forward")
    raise ValueError(f"'{text}' comes twice in {local}: the clocks were put back")

"""A freezer's temperatures over one day, ten minutes apart; plain functions, no platform."""

from datetime import datetime, time, timedelta
from itertools import groupby

SLOT = timedelta(minutes=10)
SLOTS = 24 * 6
COLUMNS = "time,temperature_c"
# What the logger writes when its sensor did not answer.
NO_READING = "ERR"


def parse(text: str) -> dict:
    """Return a logger's file as freezer, day and 144 temperatures; None where one is missing.

    Raises:
        ValueError: The file is not such a log; the message names the line.
    """
    freezer, rows = "", []
    for number, line in enumerate(text.splitlines(), 1):
        name, colon, value = line.removeprefix("#").partition(":")
        if line.startswith("#"):
            freezer = value.strip() if colon and name.strip() == "freezer" else freezer
        elif line != COLUMNS:
            rows.append(parse_row(line, number))
    if not freezer or not rows:
        raise ValueError("the file names no freezer" if rows else "the file has no readings")
    day = rows[0][0].date()
    celsius: list[float | None] = [None] * SLOTS
    for when, value in rows:
        if when.date() != day:
            raise ValueError(f"the file has readings of {day} and of {when.date()}")
        celsius[(when - datetime.combine(day, time())) // SLOT] = value
    return {"freezer": freezer, "day": day.isoformat(), "celsius": celsius}


def parse_row(line: str, number: int) -> tuple[datetime, float | None]:
    """Return time and temperature of a line such as ``2025-03-04T00:10,-78.7``."""
    try:
        when, value = line.split(",")
        return datetime.fromisoformat(when), None if value == NO_READING else float(value)
    except ValueError as error:
        raise ValueError(f"line {number} is not a reading: {line!r}") from error


def gaps(celsius: list) -> list[tuple[int, int]]:
    """Return where readings are missing: the first slot, and how many."""
    found, slot = [], 0
    for missing, group in groupby(celsius, key=lambda value: value is None):
        length = len(list(group))
        if missing:
            found.append((slot, length))
        slot += length
    return found


def words(gap: tuple[int, int]) -> str:
    """Return a gap for people to read."""
    start, length = gap
    return f"{length} reading{'s' if length > 1 else ''} missing from {clock(start)}"


def clock(slot: int) -> str:
    """Return the time of day of a slot."""
    hours, minutes = divmod(slot * 10, 60)
    return f"{hours:02}:{minutes:02}"


def fill(celsius: list, *, longest: int) -> list[float]:
    """Return the temperatures with gaps filled by straight lines.

    Args:
        celsius: 144 temperatures, None where one is missing.
        longest: Most readings that may be missing in a row.

    Raises:
        ValueError: A gap is longer, or at the edge of the day.
    """
    filled = list(celsius)
    for start, length in gaps(celsius):
        if length > longest:
            raise ValueError(f"{words((start, length))}; at most {longest} can be filled")
        if start == 0 or start + length == SLOTS:
            raise ValueError(f"{words((start, length))}, at the edge of the day")
        before, after = celsius[start - 1], celsius[start + length]
        for i in range(length):
            share = (i + 1) / (length + 1)
            filled[start + i] = round(before + share * (after - before), 1)
    return filled


def summary(celsius: list[float], *, limit: float) -> dict:
    """Return what a day's complete temperatures come to; ``limit`` in degrees Celsius."""
    warm = [slot for slot, value in enumerate(celsius) if value > limit]
    return {
        "lowest": min(celsius),
        "highest": max(celsius),
        "mean": round(sum(celsius) / len(celsius), 2),
        "minutes_above_limit": len(warm) * SLOT.seconds // 60,
        "first_above_limit": clock(warm[0]) if warm else None,
    }

"""What the parts of a pipeline may be: words of conditions, times, names, limits.

Functions named ``…_problem`` return what is wrong, or an empty string.

Source:
    The pipeline rules, see docs/reference/pipelines.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stepline.model.file import FileCategory
from stepline.model.patterns import pattern_problem
from stepline.model.pipeline import Clause

if TYPE_CHECKING:
    from datetime import tzinfo

KEYS = (
    "category",
    "sourceId",
    "sourceType",
    "sourceName",
    "filePath",
    "fileName",
    "ids",
    "idsType",
    "idsVersion",
    "pipelineId",
    "tags",
)
KEY_FAMILIES = ("metadata.", "labels.")
KEY_WORDS = (*KEYS, "metadata.<key>", "labels.<name>")

TEXT_OPERATORS = (
    "is",
    "is not",
    "contains",
    "does not contain",
    "starts with",
    "ends with",
    "matches",
    "is one of",
)
TAG_OPERATORS = ("has a tag that is", "has no tag that is")
PRESENCE_OPERATORS = ("exists", "does not exist")
OPERATORS = (*TEXT_OPERATORS, *TAG_OPERATORS, *PRESENCE_OPERATORS)
NEGATIONS = {
    "is not": "is",
    "does not contain": "contains",
    "has no tag that is": "has a tag that is",
    "does not exist": "exists",
}

UTC_NAME = "UTC"
MAX_CLAUSES = 100
MAX_VALUE = 1024
NAME_CHARACTERS = 200
PRIORITIES = (1, 10)
MAX_PARALLEL = 100_000
MAX_RETRIES = 10
MAX_RETRY_DELAY_S = 3600
MAX_MEMORY_MB = 8192
MAX_CPUS = 1024
MAX_PIDS = 1_000_000
MAX_TMP_MB = 1_000_000
MAX_TIMEOUT_MINUTES = 30 * 24 * 60

SECRET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,127}")
SECRET_NAME_RULE = "it may hold small letters, digits, `-` and `.`, at most 128 characters"
SETTING_NAME = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z_.-]{0,127}")
SETTING_NAME_RULE = "it may hold letters, digits, `_`, `-` and `.`, at most 128 characters"

_CATEGORIES = tuple(category.value for category in FileCategory)


def is_key(key: str) -> bool:
    """Tell whether a condition may ask about a property."""
    return key in KEYS or (key.startswith(KEY_FAMILIES) and not key.endswith("."))


def operators_of(key: str) -> tuple[str, ...]:
    """Return the operators that a property takes."""
    return (*(TAG_OPERATORS if key == "tags" else TEXT_OPERATORS), *PRESENCE_OPERATORS)


def values_of(clause: Clause) -> tuple[str, ...]:
    """Return the texts that a clause compares with; none for ``exists``."""
    if clause.value is None:
        return ()
    return (clause.value,) if isinstance(clause.value, str) else clause.value


def clause_text(clause: Clause) -> str:
    """Return a clause as people write it."""
    return " ".join((clause.key, clause.operator, ", ".join(values_of(clause)))).rstrip()


def value_problem(clause: Clause) -> str:
    """Return what is wrong with the value of a clause whose key and operator fit."""
    if clause.operator in PRESENCE_OPERATORS:
        return f"`{clause.operator}` takes no value" if clause.value is not None else ""
    values = values_of(clause)
    if not values or not all(values):
        return f"`{clause.operator}` needs a value"
    if isinstance(clause.value, tuple) != (clause.operator == "is one of"):
        kind = "a text, not a list" if isinstance(clause.value, tuple) else "a list of texts"
        return f"`{clause.operator}` takes {kind}"
    if any(len(value) > MAX_VALUE for value in values):
        return f"a value may have {MAX_VALUE} characters"
    if clause.operator == "matches":
        problem = pattern_problem(values[0])
        return f"the pattern cannot be used: {problem}" if problem else ""
    return ""


def unknown_category(clause: Clause) -> str:
    """Return what a clause takes for a category and is none, or an empty string."""
    if clause.key != "category" or clause.operator not in ("is", "is not", "is one of"):
        return ""
    return next((one for one in values_of(clause) if one.upper() not in _CATEGORIES), "")


def cron_problem(cron: str) -> str:
    """Return what is wrong with a cron expression of five fields."""
    from datetime import UTC, datetime

    from cronsim import CronSim, CronSimError

    if len(cron) > NAME_CHARACTERS or len(cron.split()) != 5:
        return "a schedule has five fields: minute, hour, day of month, month, day of week"
    try:
        next(CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        return str(error).replace("Bad", "it has a bad", 1)
    except StopIteration:
        return "it names a time that never comes"
    return ""


def time_zone(zone: str) -> tzinfo:
    """Return the time zone of this name; UTC also on machines without a zone database.

    Raises:
        ValueError: It is unknown.
    """
    from datetime import UTC
    from zoneinfo import ZoneInfo

    if zone == UTC_NAME:
        return UTC
    try:
        return ZoneInfo(zone)
    except (KeyError, OSError) as error:
        raise ValueError(zone) from error


def zone_problem(zone: str) -> str:
    """Return what is wrong with the name of a time zone."""
    try:
        time_zone(zone)
    except ValueError:
        return "it is no IANA time zone that is known here"
    return ""


def zone_names() -> list[str]:
    """Return the names of the time zones that are known here."""
    from zoneinfo import available_timezones

    return sorted(available_timezones())

"""How values become text in a column."""

from __future__ import annotations

import json
from typing import Any


def dump(value: Any) -> str:
    """Return a JSON value as text, as short as can be; all of it is ASCII."""
    return json.dumps(value, separators=(",", ":"))


def load(text: str) -> Any:
    """Return the value of a JSON text."""
    return json.loads(text)


def printable(text: str) -> str:
    """Return text that came from anywhere so that any database takes it."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")

"""Regular expressions of triggers, which cannot hang whoever evaluates them.

They are of the Rust regex crate, which takes time linear in the text for every pattern: it
has neither back references nor look-around. Counted repetition alone can blow a pattern up,
so its product is bounded here. The engine comes with pydantic-core, which the web framework
needs anyway; it is imported only where there is such a pattern.

Source:
    The regex crate's documentation, "Untrusted input".
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import prod
from typing import Any

MAX_PATTERN = 256
"""Longest pattern, in characters."""

MAX_TEXT = 2048
"""Longest text that is looked at, in characters; keys, metadata and labels are shorter."""

_MAX_EXPANDED = 5_000
_COUNTS = re.compile(r"\{(\d+)(?:,(\d*))?\}")


def pattern_problem(pattern: str) -> str:
    """Return what is wrong with a pattern, or an empty string."""
    if len(pattern) > MAX_PATTERN:
        return f"a pattern may have {MAX_PATTERN} characters, this one has {len(pattern)}"
    counts = (max(int(low), int(high or 0), 1) for low, high in _COUNTS.findall(pattern))
    if len(pattern) * prod(counts) > _MAX_EXPANDED:
        return "its counted repetitions multiply to too much"
    try:
        _compiled(pattern)
    except ValueError as error:
        return str(error)
    return ""


def pattern_matches(pattern: str, text: str) -> bool:
    """Tell whether a pattern without problems occurs in a text; never in one over the limit."""
    return len(text) <= MAX_TEXT and bool(_compiled(pattern).isinstance_python(text))


@lru_cache(maxsize=128)
def _compiled(pattern: str) -> Any:
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError as error:
        last = str(error).rstrip().rpartition("\n")[2].strip()
        reason = last.removeprefix("error: ").removeprefix("SchemaError: ")
        raise ValueError(reason) from None

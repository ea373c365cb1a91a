"""Hints that name what exists, and the nearest to what was written."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 10


def nearest_hint(name: str, known: Iterable[str], *, none: str = "") -> str:
    """Return a hint that names the nearest known name, or those that exist.

    Args:
        name: What was written.
        known: What exists.
        none: The hint if nothing exists.
    """
    import difflib

    names = [str(item) for item in known]
    if not names:
        return none
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    shown = ", ".join(repr(item) for item in names[:_SHOWN])
    return f"use one of: {shown}" + (", …" if len(names) > _SHOWN else "")

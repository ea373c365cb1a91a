"""Hints that name what exists, and the nearest to what was written."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 10


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is nearest to what was written, empty if none is near."""
    import difflib

    return next(iter(difflib.get_close_matches(name, [str(item) for item in known], n=1)), "")


def nearest_hint(name: str, known: Iterable[str], *, none: str = "") -> str:
    """Return a hint that names the nearest known name, or those that exist.

    Args:
        name: What was written.
        known: What exists.
        none: The hint if nothing exists.
    """
    names = [str(item) for item in known]
    if not names:
        return none
    if near := nearest(name, names):
        return f"did you mean {near!r}?"
    shown = ", ".join(repr(item) for item in names[:_SHOWN])
    return f"use one of: {shown}" + (", …" if len(names) > _SHOWN else "")


def nearest_of_all(name: str, known: Iterable[str], *, those: str) -> str:
    """Return a hint that names the nearest known name, if one is near, and then all.

    Args:
        name: What was written.
        known: What exists.
        those: Words before the names that exist, such as ``it has:``.
    """
    names = [str(item) for item in known]
    near = nearest(name, names)
    return f"did you mean {near!r}? " * bool(near) + f"{those} {', '.join(names) or 'none'}"


def or_else(hint: str, other: str) -> str:
    """Return two hints, kept apart; each may be empty."""
    if not hint or not other:
        return hint or other
    # A full stop could be taken for a part of a command, or of a name, before it.
    return f"{hint} Or {other}" if hint.endswith("?") else f"{hint}; or {other}"

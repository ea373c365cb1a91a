"""Whether a range of Python versions, as projects and lock files write it, has a runtime in it.

Source:
    The Python packaging specification "Version specifiers"; Poetry's documentation, "Version
    constraints", for ``^``, ``~`` and ``||``.
"""

from __future__ import annotations

import re

_CLAUSE = re.compile(r"(\^|~=|~|===?|!=|<=|>=|<|>)?\s*(\d+(?:\.\d+)*)(\.\*)?[\w.+-]*")
# Further patches of a minor version than there ever were.
_PATCHES = range(100)

_Release = tuple[int, ...]


def admits(versions: str, runtime: str) -> bool:
    """Tell whether any patch of a runtime is in a range.

    Args:
        versions: The range, as in ``>=3.9,<4``.
        runtime: ``3.N``.
    """
    major, minor = (int(part) for part in runtime.split("."))
    alternatives = [re.split(r",", text) for text in versions.split("||")]
    return any(
        all(_holds(clause.strip(), (major, minor, patch)) for clause in clauses)
        for clauses in alternatives
        for patch in _PATCHES
    )


def _holds(clause: str, version: _Release) -> bool:
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        return True  # such as `*`; what a resolver has understood is not refused here
    sign = match[1] or "=="
    release = tuple(int(part) for part in match[2].split("."))
    if sign in ("==", "===", "!="):
        same = _starts(version, release) if match[3] else version == _full(release)
        return same != (sign == "!=")
    if sign in ("^", "~", "~="):
        kept = {"^": 1, "~": min(2, len(release)), "~=": len(release) - 1}[sign]
        return version >= _full(release) and _starts(version, release[:kept])
    above, least = version > _full(release), version >= _full(release)
    return {">": above, ">=": least, "<": not least, "<=": not above}[sign]


def _full(release: _Release) -> _Release:
    return (*release, 0, 0)[: max(len(release), 3)]


def _starts(version: _Release, release: _Release) -> bool:
    return version[: len(release)] == release

"""Problems as text for people: place, message, source line, caret, hint."""

from __future__ import annotations

import unicodedata

from stepline.errors import Problem
from stepline.parsing.source import lines_of

_WIDTH = 100
_BEFORE = 60


def render_problem(problem: Problem, source: str | None = None) -> str:
    """Return a problem as lines of text without a final newline.

    Args:
        problem: The problem.
        source: Text of its file; the line at fault is shown with a caret under it.

    Returns:
        ``path:line:column: error: message [code]``, then the source line and the caret
        if both are known, then the hint. Control characters are shown as ``�``.
    """
    lines = [f"{problem.where}: {problem.severity}: {_clean(problem.message)} [{problem.code}]"]
    lines += _excerpt(problem, source)
    if problem.hint:
        lines.append(f"  hint: {_clean(problem.hint)}")
    return "\n".join(lines)


def _excerpt(problem: Problem, source: str | None) -> list[str]:
    line, column = problem.where.line, problem.where.column
    if source is None or line is None or column is None:
        return []
    found = lines_of(source)
    if not 1 <= line <= len(found) or not found[line - 1].strip():
        return []
    text = found[line - 1]
    start = max(0, column - 1 - _BEFORE) if len(text) > _WIDTH else 0
    shown = _clean(text[start : start + _WIDTH], keep="\t")
    indent = "".join(_blank(char) for char in shown[: column - 1 - start])
    return [f"  {shown}", f"  {indent}^"]


def _blank(char: str) -> str:
    """Return as much space as a character takes; a tab stays a tab."""
    if char == "\t":
        return char
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Me", "Mn"):
        return ""
    return "  " if unicodedata.east_asian_width(char) in "WF" else " "


def _clean(text: str, *, keep: str = "") -> str:
    """Replace characters that would steer a terminal."""
    return "".join(
        char if char in keep or unicodedata.category(char) not in ("Cc", "Cs") else "\ufffd"
        for char in text
    )

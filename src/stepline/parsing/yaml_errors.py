"""The YAML parser's complaints in words that help."""

from __future__ import annotations

import yaml

from stepline.errors import Location, Problem
from stepline.parsing.nodes import Document
from stepline.parsing.source import lines_of, place

_HINTS = (
    ("mapping values are not allowed", 'put text that holds ": " in quotes, or check the indent'),
    ("could not find expected ':'", "a key needs a `:` and a space behind it"),
    ("did not find expected key", "check the indent, and that quotes are closed"),
    ("did not find expected '-' indicator", "items of a list must start in the same column"),
    ("did not find expected ',' or", "close the bracket, or put a comma between the items"),
    ("did not find expected node content", "a value is missing here"),
    ("unexpected end of stream", "close the quotes"),
    ("unknown escape character", "write \\\\ for a backslash, or use single quotes"),
    ("found character that cannot start", "put text that starts with @, `, % or | in quotes"),
    ("undefined tag handle", "put text that starts with ! in quotes"),
    ("control characters are not allowed", "remove the control character"),
)


def syntax_problem(error: yaml.YAMLError, document: Document) -> Problem:
    """Return the problem that a parser's error stands for."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    if mark is None:
        offset = getattr(error, "position", None) or 0
        line, column = place(document.text, min(offset, len(document.text)))
    else:
        line, column = mark.line + 1, mark.column + 1
    tab = _tab_column(document.text, line)
    if tab:
        message = "a tab stands where spaces must indent the line"
        hint = "replace tabs by spaces"
        return Problem("yaml-tab", message, Location(document.path, line, tab), hint)
    where = Location(document.path, line, column)
    return Problem(
        "yaml-syntax", f"this is not valid YAML: {_words(said, error)}", where, _hint(said)
    )


def _words(said: str, error: yaml.YAMLError) -> str:
    context = getattr(error, "context", None)
    return f"{context}: {said}" if context and context != said else said


def _hint(said: str) -> str:
    return next((hint for part, hint in _HINTS if part in said), "")


def _tab_column(text: str, line: int) -> int:
    """Return the column of a tab in a line's indent, from 1; 0 if there is none."""
    lines = lines_of(text)
    current = lines[line - 1] if line <= len(lines) else ""
    indent = current[: len(current) - len(current.lstrip())]
    return indent.find("\t") + 1

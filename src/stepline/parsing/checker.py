"""Checks that the parsers of all files share; each fault becomes a problem with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import TypeGuard

from stepline.errors import Location, Problem
from stepline.expressions.suggest import nearest_hint
from stepline.expressions.text import is_expression
from stepline.parsing.nodes import MAX_PROBLEMS, Document, Mapping, Node, Scalar, Sequence

IDENTIFIER = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z_-]*")
IDENTIFIER_RULE = "it may hold letters, digits, `-` and `_`, and starts with a letter or digit"
NAMESPACE = re.compile(rf"common|(?:client|private)-{IDENTIFIER.pattern}")
NAMESPACE_RULE = "use common, client-<organisation> or private-<organisation>"
_DOTTED = re.compile(r"(?!\d)[\w$]+", re.ASCII)
_TEXT_BOOLEANS = ("yes", "no", "on", "off", "y", "n", "true", "false")


class Checker:
    """Collects the problems of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.seen: set[tuple[str, str, int | None, int | None]] = set()

    def error(
        self,
        code: str,
        message: str,
        *,
        at: Node | Location,
        hint: str = "",
        source: str = "",
        expression: str = "",
    ) -> None:
        """Report what refuses the file."""
        where = self._where(at)
        self._report(Problem(code, message, where, hint, "error", source, expression))

    def warning(
        self,
        code: str,
        message: str,
        *,
        at: Node | Location,
        hint: str = "",
        source: str = "",
        expression: str = "",
    ) -> None:
        """Report what is dubious."""
        where = self._where(at)
        self._report(Problem(code, message, where, hint, "warning", source, expression))

    def problems(self) -> tuple[Problem, ...]:
        """Return all problems, ordered by position."""
        found = sorted(self.document.problems, key=_position)
        if self.document.full:
            message = f"more than {MAX_PROBLEMS} problems; further ones are not shown"
            found.append(Problem("too-many-problems", message, Location(self.document.path)))
        return tuple(found)

    @property
    def failed(self) -> bool:
        """Whether there is an error among the problems."""
        return any(problem.severity == "error" for problem in self.document.problems)

    def root(self) -> Mapping | None:
        """Return the top-level mapping, or report why there is none."""
        document = self.document
        root = document.root
        if isinstance(root, Mapping):
            return root
        if root is None or (isinstance(root, Scalar) and root.value is None):
            if not document.problems:
                self.error("empty-file", "the file is empty", at=Location(document.path, 1, 1))
            return None
        what = f"the file must hold a mapping, not {kind_of(root)}"
        self.error("not-a-mapping", what, at=root)
        return None

    def mapping(
        self, node: Node | None, source: str, *, known: Collection[str], required: Collection[str]
    ) -> Mapping | None:
        """Return a mapping whose keys are all known and which has the required ones."""
        if node is None:
            return None
        if not isinstance(node, Mapping):
            self.wrong_type(node, source, expected="a mapping")
            return None
        self.keys(node, source, known=known, required=required)
        return node

    def keys(
        self, node: Mapping, source: str, *, known: Collection[str], required: Collection[str]
    ) -> None:
        """Report unknown and missing keys."""
        for key in node.entries:
            if key not in known and not self.document.full:
                hint = "YAML 1.2 has no merge keys; write the keys out" if key == "<<" else ""
                hint = hint or nearest_hint(key, known)
                what = f"unknown key `{key}`" + (f" in `{source}`" if source else "")
                self.error("unknown-key", what, at=node.keys[key], hint=hint, source=source)
        for key in required:
            if key not in node.entries:
                what = f"the key `{key}` is missing" + (f" in `{source}`" if source else "")
                self.error("missing-key", what, at=node, source=source)

    def items(self, node: Node | None, source: str) -> Iterator[tuple[str, Node]]:
        """Yield each item of a list with its path."""
        if node is None:
            return
        if not isinstance(node, Sequence):
            self.wrong_type(node, source, expected="a list")
            return
        for index, item in enumerate(node.items):
            yield join(source, index), item

    def text(self, node: Node | None, source: str) -> str | None:
        """Return a text."""
        if node is None:
            return None
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return node.value
        self.wrong_type(node, source, expected="text")
        return None

    def boolean(self, node: Node | None, source: str) -> bool | None:
        """Return a boolean."""
        if node is None:
            return None
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self.wrong_type(node, source, expected="true or false")
        return None

    def number(self, node: Node | None, source: str) -> int | float | None:
        """Return a number."""
        if node is None:
            return None
        if is_number(node):
            return node.value  # type: ignore[attr-defined, no-any-return]  # is_number saw it
        self.wrong_type(node, source, expected="a number")
        return None

    def integer(self, node: Node | None, source: str, *, low: int, high: int) -> int | None:
        """Return a whole number within bounds, both inclusive."""
        value = self.number(node, source)
        if value is None or node is None:
            return None
        if value != int(value) or not low <= value <= high:
            what = f"`{source}` must be a whole number from {low} to {high}, not {value}"
            self.error("out-of-range", what, at=node, source=source)
            return None
        return int(value)

    def pattern(
        self, node: Node | None, source: str, *, code: str, pattern: re.Pattern[str], rule: str
    ) -> str | None:
        """Return a text that has a pattern; `rule` says it in words."""
        value = self.text(node, source)
        if value is None or node is None:
            return None
        if pattern.fullmatch(value):
            return value
        what = f"`{source}` cannot be {shorten(value)!r}"
        self.error(code, what, at=node, hint=rule, source=source)
        return None

    def choice(self, node: Node | None, source: str, *, among: Collection[str]) -> str | None:
        """Return a text that is one of some."""
        value = self.text(node, source)
        if value is None or node is None or value in among:
            return value
        what = f"`{source}` cannot be {shorten(value)!r}"
        self.error("unknown-value", what, at=node, hint=nearest_hint(value, among), source=source)
        return None

    def identifier_key(self, node: Mapping, key: str, *, source: str) -> bool:
        """Tell whether a key is an identifier, and report it if not."""
        if IDENTIFIER.fullmatch(key):
            return True
        what = f"`{shorten(key)}` is not a valid name"
        at = node.keys[key]
        self.error("invalid-identifier", what, at=at, hint=IDENTIFIER_RULE, source=source)
        return False

    def labels(self, node: Node | None, source: str) -> None:
        """Check a list of ``{name, value}``; other keys in it have no effect."""
        for path, item in self.items(node, source):
            if not isinstance(item, Mapping):
                self.wrong_type(item, path, expected="a mapping")
                continue
            self.keys(item, path, known=item.entries, required=("name", "value"))
            self.ignored(item, path, known=("name", "value"))
            for key in ("name", "value"):
                self.text(item.entries.get(key), join(path, key))

    def ignored(self, node: Mapping, source: str, *, known: Collection[str]) -> None:
        """Warn of keys that have no effect."""
        for key in node.entries:
            if key not in known and not self.document.full:
                what = f"`{join(source, key)}` has no effect"
                hint = nearest_hint(key, known)
                self.warning("unknown-key", what, at=node.keys[key], hint=hint, source=source)

    def texts(self, node: Node | None, source: str) -> None:
        """Check a list of texts."""
        for path, item in self.items(node, source):
            self.text(item, path)

    def wrong_type(self, node: Node, source: str, *, expected: str) -> None:
        """Report a value of a wrong type."""
        what = f"`{source}` must be {expected}, not {kind_of(node)}"
        hint = self._type_hint(node, expected)
        self.error("wrong-type", what, at=node, hint=hint, source=source)

    def _type_hint(self, node: Node, expected: str) -> str:
        if not isinstance(node, Scalar):
            return ""
        if node.value is None:
            return "give it a value, or remove the key"
        if expected == "text":
            written = self.document.text[node.start : node.end]
            return f"put it in quotes: {json.dumps(shorten(written))}"
        if expected.startswith("true or false") and isinstance(node.value, str):
            return boolean_hint(node.value) or expression_hint(node.value)
        if isinstance(node.value, str) and expected.startswith("a number"):
            return "" if is_expression(node.value) else expression_hint(node.value)
        return ""

    def _where(self, at: Node | Location) -> Location:
        return self.document.where(at) if isinstance(at, Node) else at

    def _report(self, problem: Problem) -> None:
        """Take a problem, once: aliases let a check pass the same place again."""
        where = problem.where
        identity = (problem.code, problem.message, where.line, where.column)
        if identity not in self.seen:
            self.seen.add(identity)
            self.document.report(problem)


def join(source: str, *keys: str | int) -> str:
    """Return the path of what is below a path, as diagnostics write it."""
    for key in keys:
        if isinstance(key, str) and _DOTTED.fullmatch(key):
            source = f"{source}.{key}" if source else key
        else:
            source = f"{source}[{json.dumps(key)}]"
    return source


def kind_of(node: Node) -> str:
    """Return what kind of value a node is, in words."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    value = node.plain()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return "text" if isinstance(value, str) else "a number"


def is_number(node: Node) -> bool:
    """Tell whether a node is a number."""
    value = node.value if isinstance(node, Scalar) else None
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_expression_node(node: Node) -> TypeGuard[Scalar]:
    """Tell whether a node is an expression."""
    return isinstance(node, Scalar) and is_expression(node.value)


def boolean_hint(value: object) -> str:
    """Return the hint for a text where a boolean may have been meant."""
    if isinstance(value, str) and value.lower() in _TEXT_BOOLEANS:
        return "write true or false without quotes; yes, no, on and off are text"
    return ""


def expression_hint(text: str) -> str:
    """Return the hint for a text where an expression may have been meant."""
    if "$(" in text:
        return "an expression is the whole text: $( … ) with nothing before or after it"
    if re.match(r"(?:config|steps|constants|workflow|protocol)\b|\w+\(", text):
        return f"write $( {shorten(text)} ) for an expression"
    return ""


def shorten(text: str, limit: int = 60) -> str:
    """Return a text in at most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _position(problem: Problem) -> tuple[int, int]:
    return (problem.where.line or 0, problem.where.column or 0)

"""A document's tree with the place of every key and value, from YAML or JSON alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from stepline.errors import Location, Problem
from stepline.model.values import Json
from stepline.parsing.source import place

MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_PROBLEMS = 200
DEPTH_HINT = "flatten it; large data belongs into a file that a task script reads"
SIZE_HINT = "split it; large data belongs into a file that a task script reads"


class Style(Enum):
    """How a scalar is written in its source."""

    PLAIN = ""
    SINGLE = "'"
    DOUBLE = '"'
    LITERAL = "|"
    FOLDED = ">"


class Node:
    """One value of a document.

    Attributes:
        line, column: Start of the value, from 1.
        start, end: Offsets of the value in the source text, in characters.
    """

    __slots__ = ("column", "end", "line", "start")

    def __init__(self, *, line: int, column: int, start: int, end: int) -> None:
        self.line = line
        self.column = column
        self.start = start
        self.end = end

    def plain(self) -> Json:
        """Return the value as JSON; parts that aliases share stay shared."""
        raise NotImplementedError


class Scalar(Node):
    """A text, number, boolean or null."""

    __slots__ = ("style", "value")

    def __init__(
        self,
        value: bool | int | float | str | None,
        style: Style,
        *,
        line: int,
        column: int,
        start: int,
        end: int,
    ) -> None:
        super().__init__(line=line, column=column, start=start, end=end)
        self.value = value
        self.style = style

    def plain(self) -> Json:
        """Return the value."""
        return self.value


class Sequence(Node):
    """A list of nodes."""

    __slots__ = ("_plain", "items")

    def __init__(self, *, line: int, column: int, start: int, end: int) -> None:
        super().__init__(line=line, column=column, start=start, end=end)
        self.items: list[Node] = []
        self._plain: list[Json] | None = None

    def plain(self) -> Json:
        """Return the items as JSON."""
        if self._plain is None:
            self._plain = [item.plain() for item in self.items]
        return self._plain


class Mapping(Node):
    """Nodes by key, with the node of each key."""

    __slots__ = ("_plain", "entries", "keys")

    def __init__(self, *, line: int, column: int, start: int, end: int) -> None:
        super().__init__(line=line, column=column, start=start, end=end)
        self.entries: dict[str, Node] = {}
        self.keys: dict[str, Scalar] = {}
        self._plain: dict[str, Json] | None = None

    def plain(self) -> Json:
        """Return the entries as JSON."""
        if self._plain is None:
            self._plain = {key: value.plain() for key, value in self.entries.items()}
        return self._plain


@dataclass
class Document:
    """A parsed source: its tree, if it has one, and what is wrong with its syntax."""

    path: str
    text: str
    root: Node | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether so many problems were found that no more are taken."""
        return len(self.problems) >= MAX_PROBLEMS

    def report(self, problem: Problem) -> None:
        """Take a problem, unless there are too many already."""
        if not self.full:
            self.problems.append(problem)

    def where(self, node: Node) -> Location:
        """Return a node's place."""
        return Location(self.path, node.line, node.column)

    def place_in(self, node: Scalar, offset: int) -> Location:
        """Return the place of a character of a scalar's text.

        Folding, indentation and escapes are taken into account: the place is that of
        the source character which the text's character came from.
        """
        wanted = sum(1 for char in str(node.value)[:offset] if not char.isspace())
        for at, is_space in _units(self.text, node):
            if is_space:
                continue
            if wanted == 0:
                line, column = place(self.text[node.start : at], at - node.start)
                shift = node.column - 1 if line == 1 else 0
                return Location(self.path, node.line + line - 1, column + shift)
            wanted -= 1
        return self.where(node)


def _units(text: str, node: Scalar) -> Iterator[tuple[int, bool]]:
    """Yield the source offset of each character of a scalar, and whether it is a space.

    An escape counts as the one character that it stands for.
    """
    at, end = node.start, min(node.end, len(text))
    if node.style in (Style.LITERAL, Style.FOLDED):
        at = text.find("\n", at, end) + 1 or end
    elif node.style is not Style.PLAIN:
        at, end = at + 1, end - 1
    while at < end:
        size, is_space = _unit(text, at, node.style)
        yield at, is_space
        at += size


def _unit(text: str, at: int, style: Style) -> tuple[int, bool]:
    char = text[at]
    if style is Style.SINGLE and char == "'":
        return 2, False
    if style is not Style.DOUBLE or char != "\\":
        return 1, char.isspace()
    escape = text[at + 1 : at + 2]
    size = {"x": 4, "u": 6, "U": 10}.get(escape, 2)
    if size > 2:
        return size, _is_escaped_space(text[at + 2 : at + size])
    return 2, escape in "nrtvfNLP_ \n\r\t" or not escape


def _is_escaped_space(digits: str) -> bool:
    try:
        return chr(int(digits, 16)).isspace()
    except (ValueError, OverflowError):
        return False

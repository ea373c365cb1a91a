"""JSON text to a tree, strictly, without recursion, with the place of every value.

Source:
    RFC 8259. Beyond it, duplicate keys, NaN and Infinity are refused.
"""

from __future__ import annotations

import json
import re

from stepline.errors import Location, Problem
from stepline.parsing.nodes import (
    DEPTH_HINT,
    MAX_DEPTH,
    MAX_NODES,
    SIZE_HINT,
    Document,
    Mapping,
    Node,
    Scalar,
    Sequence,
    Style,
)
from stepline.parsing.source import first_surrogate, unreadable
from stepline.parsing.yaml_scalars import NotJson, finite, integer

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING_START = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_STRING = re.compile(_STRING_START.pattern + '"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?(?![0-9A-Za-z.+_-])")
_WORD = re.compile(r"[A-Za-z_$][\w$]*")
_LITERALS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_WORD_HINTS = {
    **dict.fromkeys(("True", "False", "None"), "write true, false or null in small letters"),
    **dict.fromkeys(("NaN", "Infinity"), "JSON has finite numbers only"),
}


class _Refused(Exception):
    def __init__(self, code: str, message: str, offset: int, *, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.offset = offset
        self.hint = hint


def parse_json(text: str, *, path: str) -> Document:
    """Read a JSON document.

    Args:
        text: The source without byte order mark.
        path: Path for the places of problems.

    Returns:
        The document. It has no root if its syntax is broken; then the first fault of
        syntax is among its problems.
    """
    document = Document(path, text)
    problem = unreadable(text, path=path)
    if problem is not None:
        document.report(problem)
        return document
    if not text.strip():
        return document
    reader = _Reader(document)
    try:
        document.root = reader.read()
    except _Refused as refused:
        where = Location(path, *reader.place(refused.offset))
        document.report(Problem(refused.code, str(refused), where, refused.hint))
    return document


class _Reader:
    """Reads token by token; `stack` holds the collections that are still open."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.text = document.text
        self.at = 0
        self.stack: list[Mapping | Sequence] = []
        self.line = 1
        self.line_start = 0
        self.counted = 0
        self.nodes = 0

    def read(self) -> Node:
        root = self.value()
        while self.stack:
            self.member()
        self.skip_space()
        if self.at < len(self.text):
            raise self.fault("nothing may follow the end of the document")
        return root

    def member(self) -> None:
        """Read the next member of the innermost open collection, or its end."""
        parent = self.stack[-1]
        closing = "}" if isinstance(parent, Mapping) else "]"
        self.skip_space()
        if self.peek() == closing:
            self.at += 1
            parent.end = self.at
            self.stack.pop()
        elif isinstance(parent, Mapping):
            if parent.entries:
                self.comma(closing)
            key = self.key()
            self.put(parent, key, node=self.value())
        else:
            if parent.items:
                self.comma(closing)
            parent.items.append(self.value())

    def comma(self, closing: str) -> None:
        if self.peek() != ",":
            kind = "pair" if closing == "}" else "item"
            raise self.fault(f"a comma or `{closing}` must follow the {kind}")
        comma = self.at
        self.at += 1
        self.skip_space()
        if self.peek() == closing:
            hint = "remove the comma"
            raise self.fault(f"a comma may not stand before `{closing}`", offset=comma, hint=hint)

    def key(self) -> Scalar:
        self.skip_space()
        if self.peek() != '"':
            raise self.fault("a key in double quotes is expected here", hint=self.quote_hint())
        key = self.string()
        self.skip_space()
        if self.peek() != ":":
            raise self.fault("a `:` must follow the key")
        self.at += 1
        return key

    def put(self, parent: Mapping, key: Scalar, *, node: Node) -> None:
        name = str(key.value)
        if name in parent.entries:
            message = f"the key `{name}` is given twice in one object"
            hint = f"it stands in line {parent.keys[name].line} already"
            where = self.document.where(key)
            self.document.report(Problem("duplicate-key", message, where, hint))
            return
        parent.entries[name] = node
        parent.keys[name] = key

    def value(self) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            what = f"the file has more than {MAX_NODES:,} values"
            raise self.fault(what, code="too-many-values", hint=SIZE_HINT)
        self.skip_space()
        char = self.peek()
        if char and char in "{[":
            return self.open(char)
        if char == '"':
            return self.string()
        number = _NUMBER.match(self.text, self.at)
        if number:
            return self.number(number)
        word = _WORD.match(self.text, self.at)
        if word and word.group() in _LITERALS:
            return self.scalar(_LITERALS[word.group()], word.end(), style=Style.PLAIN)
        hint = _WORD_HINTS.get(word.group(), "") if word else self.quote_hint()
        raise self.fault("a value is expected here", hint=hint)

    def open(self, char: str) -> Mapping | Sequence:
        if len(self.stack) >= MAX_DEPTH:
            what = f"values are nested more than {MAX_DEPTH} deep"
            raise self.fault(what, code="too-deep", hint=DEPTH_HINT)
        line, column = self.place(self.at)
        make = Mapping if char == "{" else Sequence
        node = make(line=line, column=column, start=self.at, end=self.at)
        self.at += 1
        self.stack.append(node)
        return node

    def string(self) -> Scalar:
        found = _STRING.match(self.text, self.at)
        if found is None:
            raise self.string_fault()
        value = json.loads(found.group())
        if first_surrogate(value) >= 0:
            raise self.fault("half of a surrogate pair is not a character")
        return self.scalar(value, found.end(), style=Style.DOUBLE)

    def number(self, found: re.Match[str]) -> Scalar:
        try:
            whole = found.group(1) is None and found.group(2) is None
            value = integer(found.group()) if whole else finite(float(found.group()))
        except NotJson as error:
            raise self.fault(str(error), code="not-json") from None
        return self.scalar(value, found.end(), style=Style.PLAIN)

    def scalar(self, value: bool | int | float | str | None, end: int, *, style: Style) -> Scalar:
        line, column = self.place(self.at)
        node = Scalar(value, style, line=line, column=column, start=self.at, end=end)
        self.at = end
        return node

    def string_fault(self) -> _Refused:
        """Point at what is wrong inside a text in quotes."""
        good = _STRING_START.match(self.text, self.at)
        at = good.end() if good else self.at
        char = self.text[at : at + 1]
        if char == "\\":
            hint = "write \\\\ for a backslash"
            return self.fault("this is not an escape that JSON has", offset=at, hint=hint)
        if char in ("", "\n", "\r"):
            return self.fault("the text is not closed", hint='close it with `"`')
        return self.fault("a control character must be escaped", offset=at, hint="a tab is \\t")

    def fault(
        self, message: str, *, code: str = "json-syntax", offset: int | None = None, hint: str = ""
    ) -> _Refused:
        at = self.at if offset is None else offset
        what = f"this is not valid JSON: {message}" if code == "json-syntax" else message
        return _Refused(code, what, at, hint=hint)

    def quote_hint(self) -> str:
        if self.peek() == "'":
            return "use double quotes"
        return "JSON has no comments" if self.peek() in ("/", "#") else ""

    def skip_space(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column of an offset; quick where offsets only grow."""
        if offset < self.counted:
            self.line, self.line_start, self.counted = 1, 0, 0
        for end in re.finditer(r"\r\n|\n|\r", self.text[self.counted : offset]):
            self.line += 1
            self.line_start = self.counted + end.end()
        self.counted = offset
        return self.line, offset - self.line_start + 1

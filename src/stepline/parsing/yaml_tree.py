"""YAML text to a tree, built from the parser's events without recursion.

Depth, the number of values that aliases stand for, and tags are bounded here, so that no
document can exhaust memory, time or the stack.

Source:
    YAML 1.2.2. The parser (libyaml by way of PyYAML) follows version 1.1, which differs
    in details of punctuation only; scalars follow the core schema of 1.2.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml

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
from stepline.parsing.source import place, unreadable
from stepline.parsing.yaml_errors import syntax_problem
from stepline.parsing.yaml_scalars import NotJson, plain_value, tagged_value

MAX_ALIASED = 1_000_000
_CORE_TAG = "tag:yaml.org,2002:"
# Line ends in YAML 1.1, and so to the parser; ordinary characters in 1.2.
_OLD_LINE_ENDS = "\x85\u2028\u2029"
_BLOCK_HEADER = re.compile(r"[|>][-+0-9]*")
_PRIVATE_USE = range(0xE000, 0xF900)
_STYLES = {style.value: style for style in Style}
_Parser: Any = getattr(getattr(yaml, "cyaml", None), "CParser", None)


class _Refused(Exception):
    """Reading stops here; the problem says why."""

    def __init__(self, code: str, message: str, mark: Any, *, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.mark = mark
        self.hint = hint


def parse_yaml(text: str, *, path: str) -> Document:
    """Read one YAML document.

    Args:
        text: The source without byte order mark.
        path: Path for the places of problems.

    Returns:
        The document. It has no root if its syntax is broken or it is empty; problems
        of syntax are in it.
    """
    document = Document(path, text)
    problem = unreadable(text, path=path)
    if problem is not None:
        document.report(problem)
        return document
    builder = _Builder(document)
    try:
        builder.read()
    except _Refused as refused:
        where = Location(path, refused.mark.line + 1, refused.mark.column + 1)
        document.report(Problem(refused.code, str(refused), where, refused.hint))
    except yaml.YAMLError as error:
        document.report(syntax_problem(error, document))
    else:
        document.root = builder.root
    return document


class _Builder:
    """Takes events one by one; `stack` holds the collections that are still open."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.root: Node | None = None
        self.stack: list[Mapping | Sequence] = []
        self.pending: list[Scalar | None] = []
        self.anchors: dict[str, Node] = {}
        self.weights: dict[Node, int] = {}
        self.aliased = 0
        self.nodes = 0
        self.documents = 0
        self.flows: list[bool] = []
        self.stand_ins = _stand_ins(document.text)

    def read(self) -> None:
        text = self.document.text.translate({ord(a): b for a, b in self.stand_ins.items()})
        parser = (_Parser or _pure_parser())(text)
        handlers = {
            yaml.ScalarEvent: self.scalar,
            yaml.MappingStartEvent: self.open,
            yaml.SequenceStartEvent: self.open,
            yaml.MappingEndEvent: self.close,
            yaml.SequenceEndEvent: self.close,
            yaml.AliasEvent: self.alias,
            yaml.DocumentStartEvent: self.start_document,
        }
        try:
            while parser.check_event():
                event = parser.get_event()
                handler = handlers.get(type(event))
                if handler is not None:
                    handler(event)
        finally:
            parser.dispose()

    def start_document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            hint = "keep one document per file; remove what follows this `---`"
            message = "the file holds more than one YAML document"
            raise _Refused("several-documents", message, event.start_mark, hint=hint)

    def scalar(self, event: Any) -> None:
        mark, end = event.start_mark, event.end_mark
        style = _STYLES.get(event.style or "", Style.PLAIN)
        for char, stand_in in self.stand_ins.items():
            event.value = event.value.replace(stand_in, char)
        if style in (Style.SINGLE, Style.DOUBLE):
            self.refuse_comment(end.index)
        elif style is not Style.PLAIN:
            header = _BLOCK_HEADER.match(self.document.text, mark.index)
            self.refuse_comment(header.end() if header else mark.index)
        node = Scalar(
            _scalar_value(event, style),
            style,
            line=mark.line + 1,
            column=mark.column + 1,
            start=mark.index,
            end=end.index,
        )
        if event.anchor:
            self.anchors[event.anchor] = node
            self.weights[node] = 1 + len(event.value)
        self.add(node, event)

    def open(self, event: Any) -> None:
        kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
        if event.tag not in (None, "!", _CORE_TAG + kind):
            _refuse_tag(event)
        if len(self.stack) >= MAX_DEPTH:
            message = f"values are nested more than {MAX_DEPTH} deep"
            raise _Refused("too-deep", message, event.start_mark, hint=DEPTH_HINT)
        mark = event.start_mark
        make = Mapping if kind == "map" else Sequence
        node = make(line=mark.line + 1, column=mark.column + 1, start=mark.index, end=mark.index)
        self.add(node, event)
        self.stack.append(node)
        self.pending.append(None)
        self.flows.append(bool(event.flow_style))
        if event.anchor:
            self.anchors[event.anchor] = node

    def close(self, event: Any) -> None:
        node = self.stack.pop()
        self.pending.pop()
        node.end = event.end_mark.index
        if self.flows.pop():
            self.refuse_comment(event.end_mark.index)
        self.weights[node] = 1 + sum(self.weight(child) for child in _children(node))

    def refuse_comment(self, offset: int) -> None:
        """Refuse a comment right behind a value, which the parser would let pass."""
        if self.document.text.startswith("#", offset):
            message = "a space must stand before a comment"
            line, column = place(self.document.text, offset)
            where = Location(self.document.path, line, column)
            self.document.report(Problem("yaml-syntax", message, where))

    def weight(self, node: Node) -> int:
        """Return about how much text a node stands for, in characters."""
        if isinstance(node, Scalar):
            return 1 + (len(node.value) if isinstance(node.value, str) else 0)
        return self.weights[node]

    def alias(self, event: Any) -> None:
        node = self.anchors.get(event.anchor)
        mark = event.start_mark
        if node is None:
            hint = f"define it before this place, as `&{event.anchor}`"
            message = f"the alias `*{event.anchor}` has no anchor"
            raise _Refused("unknown-alias", message, mark, hint=hint)
        if node in self.stack:
            message = f"the alias `*{event.anchor}` stands inside what it names"
            hint = "a value cannot hold itself"
            raise _Refused("recursive-alias", message, mark, hint=hint)
        self.aliased += self.weight(node)
        if self.aliased > MAX_ALIASED:
            message = f"the aliases up to here stand for more than {MAX_ALIASED:,} characters"
            raise _Refused("too-many-aliases", message, mark, hint=SIZE_HINT)
        self.add(node, event)

    def add(self, node: Node, event: Any) -> None:
        """Put a node where the innermost open collection expects one."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            message = f"the file has more than {MAX_NODES:,} values"
            raise _Refused("too-many-values", message, event.start_mark, hint=SIZE_HINT)
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
            return
        key = self.pending[-1]
        if key is None:
            self.pending[-1] = self.key(node, event)
            return
        self.pending[-1] = None
        self.add_entry(parent, key, node=node)

    def add_entry(self, parent: Mapping, key: Scalar, *, node: Node) -> None:
        name = key_text(key)
        if name in parent.entries:
            first = parent.keys[name]
            message = f"the key `{name}` is given twice in one mapping"
            hint = f"it stands in line {first.line} already"
            where = self.document.where(key)
            self.document.report(Problem("duplicate-key", message, where, hint))
            return
        parent.entries[name] = node
        parent.keys[name] = key

    def key(self, node: Node, event: Any) -> Scalar:
        if isinstance(node, Scalar):
            return node
        hint = "a `{` or `[` that opens a text must be put in quotes"
        raise _Refused("invalid-key", "a key must be text", event.start_mark, hint=hint)


def key_text(key: Scalar) -> str:
    """Return a key as the text that it is in JSON."""
    value = key.value
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if value == int(value) else str(value)


def _stand_ins(text: str) -> dict[str, str]:
    """Return a character that does not occur for each one that the parser takes wrongly."""
    needed = [char for char in _OLD_LINE_ENDS if char in text]
    free = (chr(number) for number in _PRIVATE_USE if chr(number) not in text)
    return dict(zip(needed, free, strict=False))


def _children(node: Mapping | Sequence) -> list[Node]:
    if isinstance(node, Sequence):
        return node.items
    return [*node.keys.values(), *node.entries.values()]


def _scalar_value(event: Any, style: Style) -> bool | int | float | str | None:
    try:
        if event.tag is None:
            return plain_value(event.value) if style is Style.PLAIN else str(event.value)
        if event.tag == "!":
            return str(event.value)
        tag = event.tag.removeprefix(_CORE_TAG)
        return tagged_value(tag, event.value) if tag != event.tag else _refuse_tag(event)
    except NotJson as error:
        hint = "put it in quotes if it is meant as text"
        raise _Refused("not-json", str(error), event.start_mark, hint=hint) from None
    except ValueError as error:
        raise _Refused("invalid-tag", str(error), event.start_mark) from None
    except KeyError:
        _refuse_tag(event)


def _refuse_tag(event: Any) -> NoReturn:
    shown = event.tag.replace(_CORE_TAG, "!!")
    message = f"the tag `{shown}` is not allowed"
    hint = "values are plain JSON: text, numbers, booleans, null, lists and mappings"
    raise _Refused("unknown-tag", message, event.start_mark, hint=hint)


def _pure_parser() -> Any:
    """Return PyYAML's own parser, for installations without libyaml."""

    class Parser(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
        def __init__(self, stream: str) -> None:
            yaml.reader.Reader.__init__(self, stream)
            yaml.scanner.Scanner.__init__(self)
            yaml.parser.Parser.__init__(self)

    return Parser

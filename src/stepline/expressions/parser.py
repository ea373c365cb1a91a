"""Text of an expression to its tree.

The grammar is the part of ECMAScript's expression syntax that the protocol rules allow.
Everything else is refused by name, with what to use instead.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NoReturn

from stepline.errors import ExpressionError
from stepline.expressions.functions import FUNCTIONS
from stepline.expressions.nodes import Call, Key, Literal, Node, Reference
from stepline.expressions.scanner import Scanner
from stepline.expressions.suggest import nearest_hint
from stepline.expressions.text import body_span, is_expression

MAX_LENGTH = 10_000
MAX_DEPTH = 100

_WORDS = {"true": True, "false": False, "null": None}
_RESERVED = frozenset(
    "await break case catch class const continue debugger default delete do else enum export "
    "extends finally for function if import in instanceof let new return static super switch "
    "this throw try typeof undefined var void while with yield".split()
)
_HINTS = {
    "==": "expressions cannot compare; test in a task script, or use isNull(…)",
    "!=": "expressions cannot compare; test in a task script, or use not(isNull(…))",
    "&&": "use and(…)",
    "||": "use or(…), or coalesce(…) for a value in place of null",
    "??": "use coalesce(…)",
    "!": "use not(…)",
    "?": "choose with two steps and `if`, or with coalesce(…)",
    "=": "expressions cannot assign; put the value under `constants`",
}
_ARITHMETIC_HINT = "expressions cannot calculate; do it in a task script"
_OPERATORS = ("==", "!=", "&&", "||", "??", *"+-*/%<>=!&|^?~:,")


@lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """Parse an expression.

    Args:
        text: The whole text including ``$(`` and ``)``, at most 10,000 characters.
            Offsets in the tree and in errors count its characters from 0.

    Returns:
        The tree; calls are nested at most 100 deep.

    Raises:
        ExpressionError: The text is not a valid expression.
    """
    if not is_expression(text):
        what = "an expression is written $( … )"
        raise ExpressionError(what, code="not-an-expression")
    if len(text) > MAX_LENGTH:
        what = f"the expression is longer than {MAX_LENGTH} characters"
        raise ExpressionError(what, code="too-long", offset=MAX_LENGTH)
    return _Parser(text, *body_span(text)).whole()


class _Parser(Scanner):
    """Recursive descent, bounded in depth by `MAX_DEPTH`."""

    depth = 0

    def whole(self) -> Node:
        self.skip_space()
        if not self.peek():
            self.fail("empty-expression", "the expression is empty")
        node = self.node()
        self.take(";")
        self.skip_space()
        if self.peek():
            self.unexpected()
        return node

    def node(self) -> Node:
        """Read one operand with all that follows it, and the space after it."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail("too-deep", f"the expression is nested more than {MAX_DEPTH} deep")
        node = self.primary()
        self.skip_space()
        while self.peek() and self.peek() in ".[(?`":
            node = self.suffixed(node)
            self.skip_space()
        self.depth -= 1
        return node

    def primary(self) -> Node:
        self.skip_space()
        char, start = self.peek(), self.position
        if self.take("("):
            node = self.node()
            if not self.take(")"):
                self.unexpected()
            return node
        if char in ("'", '"'):
            return Literal(self.string(), start)
        if self.at_number():
            return Literal(self.number(), start)
        if char in ("+", "-"):
            return self.signed()
        name = self.name()
        if not name:
            self.unexpected()
        if name in _WORDS:
            return Literal(_WORDS[name], start)
        if name in _RESERVED:
            self.reserved(name, start)
        return Reference(name, (), start)

    def signed(self) -> Literal:
        start = self.position
        sign = self.peek()
        self.position += 1
        literal = self.bare_literal()
        if literal is None or isinstance(literal, str):
            hint = _ARITHMETIC_HINT
            self.fail("operator", f"`{sign}` goes before a number only", offset=start, hint=hint)
        return Literal(-literal if sign == "-" else literal, start)

    def bare_literal(self) -> str | int | float | None:
        """Read text or a number without sign, in any parentheses; None if another thing comes."""
        opened = 0
        self.skip_space()
        while self.take("("):
            opened += 1
            self.skip_space()
        char = self.peek()
        value: str | int | float
        if char in ("'", '"'):
            value = self.string()
        elif self.at_number():
            value = self.number()
        else:
            return None
        for _ in range(opened):
            self.skip_space()
            if not self.take(")"):
                return None
        return value

    def suffixed(self, node: Node) -> Node:
        """Read one access or the arguments of a call."""
        if self.starts_with("?.") and self.peek(2) not in tuple("0123456789"):
            hint = "a member of null, or one that is missing, is null anyway"
            self.fail("optional-chaining", "`?.` is not allowed; write `.`", hint=hint)
        if self.peek() in "?`":
            self.unexpected()
        if self.peek() == "(":
            return self.call(node)
        if not isinstance(node, Reference):
            what = "a literal" if isinstance(node, Literal) else "a function's result"
            self.fail("invalid-access", f"members of {what} cannot be read")
        key = self.dotted_key() if self.peek() == "." else self.bracket_key()
        return Reference(node.root, (*node.keys, key), node.offset)

    def dotted_key(self) -> Key:
        self.position += 1
        self.skip_space()
        start = self.position
        name = self.name()
        if not name:
            hint = "names with other characters go in brackets: ['a-b']"
            self.fail("syntax", "a name must follow the dot", hint=hint)
        return Key(name, start)

    def bracket_key(self) -> Key:
        start = self.position
        self.position += 1
        self.skip_space()
        at = self.position
        value = self.bare_literal()
        self.skip_space()
        if value is None or not self.take("]"):
            hint = "use ['name'] or [0]"
            what = "brackets hold one text or number, not a computed value"
            self.fail("computed-key", what, offset=start, hint=hint)
        return Key(value, at)

    def call(self, node: Node) -> Call:
        if not isinstance(node, Reference) or node.keys:
            what = "only the functions of the library can be called, by name"
            self.fail("method-call", what, hint=f"they are: {', '.join(FUNCTIONS)}")
        function = FUNCTIONS.get(node.root)
        if function is None:
            hint = nearest_hint(node.root, FUNCTIONS)
            what = f"there is no function `{node.root}`"
            self.fail("unknown-function", what, offset=node.offset, hint=hint)
        arguments = self.arguments()
        if function.arity is not None and len(arguments) != function.arity:
            what = f"`{node.root}` takes {function.arity} argument, not {len(arguments)}"
            self.fail("argument-count", what, offset=node.offset)
        return Call(node.root, arguments, node.offset)

    def arguments(self) -> tuple[Node, ...]:
        self.position += 1
        found: list[Node] = []
        self.skip_space()
        while not self.take(")"):
            found.append(self.node())
            if not self.take(",") and self.peek() != ")":
                self.unexpected()
            self.skip_space()
        return tuple(found)

    def reserved(self, name: str, start: int) -> NoReturn:
        if name == "undefined":
            hint = "use null"
            self.fail("keyword", "`undefined` is not allowed", offset=start, hint=hint)
        self.fail("keyword", f"`{name}` is not allowed in an expression", offset=start)

    def unexpected(self) -> NoReturn:
        """Raise the error that fits what is at the cursor."""
        char = self.peek()
        if not char:
            self.fail("syntax", "the expression ends too early")
        if self.starts_with("..."):
            self.fail("syntax", "arguments cannot be spread with `...`")
        if char == "`":
            hint = "use quotes; text cannot be put together in an expression"
            self.fail("template-string", "template strings are not allowed", hint=hint)
        if char in "[{":
            hint = "write lists and objects in YAML, with expressions inside"
            self.fail("composite-literal", "lists and objects cannot be written here", hint=hint)
        if char == ";":
            self.fail("several-expressions", "there must be exactly one expression")
        self.unexpected_operator(char)
        self.fail("syntax", f"{char!r} is not expected here", hint=self.syntax_hint())

    def unexpected_operator(self, char: str) -> None:
        found = next((op for op in _OPERATORS if self.starts_with(op)), None)
        if found is None:
            return
        if found == ",":
            self.fail("several-expressions", "there must be exactly one expression")
        if found == "/" and self.after_operator():
            self.fail("regular-expression", "regular expressions are not allowed")
        hint = _HINTS.get(found, _ARITHMETIC_HINT)
        self.fail("operator", f"the operator `{found}` is not allowed", hint=hint)

    def after_operator(self) -> bool:
        """Tell whether an operand, not an operator, is expected at the cursor."""
        before = self.text[: self.position].rstrip()
        return before.endswith(("(", ",", "["))

    def syntax_hint(self) -> str:
        if self.text[self.position :].startswith(")"):
            return "text with something before or after $( … ) cannot hold two expressions"
        return ""

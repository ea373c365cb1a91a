"""Expressions ``$( … )``: parsed to a tree, typed, evaluated without ``eval``.

Parsing and evaluating are light and on the path of every run. The type language and
`infer` are loaded on first use, because only validation needs them.

Source:
    The protocol rules' section "Expressions", see docs/reference/expressions.md.
"""

from __future__ import annotations

from stepline.expressions.evaluator import (
    MAX_CONSTANT_NODES,
    constant_order,
    evaluate,
    resolve,
    resolve_constants,
)
from stepline.expressions.nodes import Call, Json, Key, Literal, Node, Reference, references
from stepline.expressions.parser import MAX_DEPTH, MAX_LENGTH, parse
from stepline.expressions.text import is_expression

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stepline.expressions.inference import infer
    from stepline.expressions.types import Type

__all__ = [
    "MAX_CONSTANT_NODES",
    "MAX_DEPTH",
    "MAX_LENGTH",
    "Call",
    "Json",
    "Key",
    "Literal",
    "Node",
    "Reference",
    "Type",
    "constant_order",
    "evaluate",
    "infer",
    "is_expression",
    "parse",
    "references",
    "resolve",
    "resolve_constants",
]


def __getattr__(name: str) -> object:
    if name == "infer":
        from stepline.expressions.inference import infer

        return infer
    if name == "Type":
        from stepline.expressions.types import Type

        return Type
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Static typing of expressions.

Source:
    The protocol rules' paragraph "Static typing"; the public compiler's types of
    functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from stepline.errors import ExpressionError
from stepline.expressions.functions import FUNCTIONS
from stepline.expressions.nodes import Call, Key, Literal, Node, Reference
from stepline.expressions.suggest import nearest_hint
from stepline.expressions.types import (
    ANY,
    BOOLEAN,
    FALSE,
    NEVER,
    NULL,
    TRUE,
    AccessFault,
    Const,
    Type,
    Union,
    union,
)

_LOGIC = ("and", "or", "not")


def infer(node: Node, environment: Mapping[str, Type]) -> Type:
    """Return the type of an expression's value.

    Args:
        node: Tree that `parse` returned.
        environment: Type of each root that can be read here.

    Raises:
        ExpressionError: A name or member does not exist, or an argument does not fit;
            `offset` points at it in the expression's text.
    """
    if isinstance(node, Literal):
        return NULL if node.value is None else Const(node.value)
    if isinstance(node, Call):
        return _call_type(node, environment)
    found = _root_type(node, environment)
    for count, key in enumerate(node.keys):
        try:
            found = found.access(key.value)
        except AccessFault as fault:
            _fail_access(node, count, fault)
    if found == NEVER:
        what = f"`{_path(node, len(node.keys))}` can have no value"
        raise ExpressionError(what, code="invalid-access", offset=node.offset)
    return found


def _root_type(node: Reference, environment: Mapping[str, Type]) -> Type:
    found = environment.get(node.root)
    if found is not None:
        return found
    if node.root in FUNCTIONS:
        what = f"`{node.root}` is a function and must be called"
        hint = f"write {node.root}(…)"
        raise ExpressionError(what, code="function-reference", offset=node.offset, hint=hint)
    hint = nearest_hint(node.root, list(environment))
    what = f"there is no `{node.root}` here"
    raise ExpressionError(what, code="unknown-name", offset=node.offset, hint=hint)


def _fail_access(node: Reference, count: int, fault: AccessFault) -> NoReturn:
    what = f"`{_path(node, count)}` {fault.reason}"
    offset = node.keys[count].offset
    raise ExpressionError(what, code=fault.code, offset=offset, hint=fault.hint) from None


def _path(node: Reference, count: int) -> str:
    return node.root + "".join(_access_text(key) for key in node.keys[:count])


def _access_text(key: Key) -> str:
    if not isinstance(key.value, str):
        return f"[{key.value}]"
    return f".{key.value}" if key.value.isidentifier() else f"[{key.value!r}]"


def _call_type(node: Call, environment: Mapping[str, Type]) -> Type:
    arguments = [infer(argument, environment) for argument in node.arguments]
    if node.function in _LOGIC:
        for argument, found in zip(node.arguments, arguments, strict=True):
            if not BOOLEAN.accepts(found):
                what = f"`{node.function}` takes booleans, not a value of type {found.shown}"
                hint = "use isNull(…), or coalesce(…) with a default" if _nullable(found) else ""
                raise ExpressionError(what, code="argument-type", offset=argument.offset, hint=hint)
    if node.function == "coalesce":
        return _coalesce_type(arguments)
    if node.function == "not":
        return _negated(arguments[0])
    return BOOLEAN


def _nullable(found: Type) -> bool:
    return isinstance(found, Union) and NULL in found.options


def _negated(found: Type) -> Type:
    if found == TRUE:
        return FALSE
    return TRUE if found == FALSE else BOOLEAN


def _coalesce_type(arguments: Sequence[Type]) -> Type:
    """Return what `coalesce` gives: up to the first argument that cannot be null."""
    for count, argument in enumerate(arguments, start=1):
        if not argument.accepts(NULL):
            return _without_null(union(arguments[:count]))
    return union([*arguments, NULL])


def _without_null(found: Type) -> Type:
    if found == ANY:
        return ANY
    options = found.options if isinstance(found, Union) else (found,)
    return union(option for option in options if not NULL.accepts(option))

"""The complete library of functions that expressions may call.

Source:
    The protocol rules' section "Expressions", table of functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stepline.expressions.nodes import Json
from stepline.frozen import frozen


@frozen
class Function:
    """A function: how many arguments it takes (None: any number) and what it does."""

    arity: int | None
    apply: Callable[[Sequence[Json]], Json]


def is_truthy(value: Json) -> bool:
    """Tell whether a value counts as true: all but null, false, 0 and the empty text.

    Lists and objects are true, also empty ones.
    """
    if value is None or value is False or value == "":
        return False
    return not (isinstance(value, (int, float)) and value == 0)


def _coalesce(values: Sequence[Json]) -> Json:
    return next((value for value in values if value is not None), None)


def _and(values: Sequence[Json]) -> Json:
    return all(is_truthy(value) for value in values)


def _or(values: Sequence[Json]) -> Json:
    return any(is_truthy(value) for value in values)


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


FUNCTIONS: dict[str, Function] = {
    "coalesce": Function(None, _coalesce),
    "and": Function(None, _and),
    "or": Function(None, _or),
    "not": Function(1, lambda values: not is_truthy(values[0])),
    "isNull": Function(1, lambda values: values[0] is None),
    "isString": Function(1, lambda values: isinstance(values[0], str)),
    "isNumber": Function(1, lambda values: _is_number(values[0])),
    "isBoolean": Function(1, lambda values: isinstance(values[0], bool)),
}

"""Evaluates trees against a scope; total, and bounded by the tree's size.

A scope maps the roots ``workflow``, ``config``, ``constants``, ``steps`` and
``protocol`` to JSON. ``steps`` is a list of states in the protocol's order, each with
the members that expressions read and ``id``, the step's identifier or None, by which
``steps['id']`` finds it. The whole ``steps`` shows the states without ``id``.

What is missing is null: an unknown root, a member of null or of a scalar, a key that an
object lacks, an index outside of a list, a step that is not in the scope.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stepline.errors import ExpressionError
from stepline.expressions.functions import FUNCTIONS
from stepline.expressions.nodes import Call, Json, Key, Literal, Node, references
from stepline.expressions.ordering import Cycle, dependency_order
from stepline.expressions.parser import MAX_DEPTH, parse
from stepline.expressions.text import is_expression

MAX_CONSTANT_NODES = 100_000


def evaluate(node: Node, scope: Mapping[str, Any]) -> Json:
    """Return a tree's value.

    Args:
        node: Tree that `parse` returned.
        scope: The roots, as this module describes them.

    Returns:
        JSON. It may be a part of the scope itself: do not change it.
    """
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Call):
        values = [evaluate(argument, scope) for argument in node.arguments]
        return FUNCTIONS[node.function].apply(values)
    if node.root == "steps":
        return _steps_value(node.keys, scope.get("steps") or [])
    return _walk(scope.get(node.root), node.keys)


def resolve(value: Json, scope: Mapping[str, Any]) -> Json:
    """Return JSON with every expression in it, at any depth, replaced by its value.

    Keys of objects are never evaluated. The result may share parts with `value` and
    the scope.

    Raises:
        ExpressionError: An expression cannot be parsed, or the JSON is over 100 deep.
    """
    return _resolved(value, scope, MAX_DEPTH)


def resolve_constants(constants: Mapping[str, Json], scope: Mapping[str, Any]) -> dict[str, Json]:
    """Return all constants with their expressions evaluated, in their own order.

    Constants may use one another; the scope's own ``constants`` are not looked at.

    Raises:
        ExpressionError: Constants form a cycle, an expression cannot be parsed, or a
            constant has more than 100,000 values once written out.
    """
    resolved: dict[str, Json] = {}
    inner = {**scope, "constants": resolved}
    for name in constant_order(constants):
        resolved[name] = resolve(constants[name], inner)
        if _is_larger(resolved[name], MAX_CONSTANT_NODES):
            what = f"constant `{name}` has more than {MAX_CONSTANT_NODES} values"
            raise ExpressionError(what, code="too-large")
    return {name: resolved[name] for name in constants}


def constant_order(constants: Mapping[str, Json]) -> list[str]:
    """Return the constants' names so that each comes after those it uses.

    Raises:
        ExpressionError: Constants form a cycle, or an expression cannot be parsed.
    """
    needs = {name: _used_constants(name, value) for name, value in constants.items()}
    try:
        return dependency_order(needs)
    except Cycle as cycle:
        what = f"constant `{cycle.names[0]}` uses itself"
        hint = f"the cycle is {cycle}"
        raise ExpressionError(what, code="constant-cycle", hint=hint) from None


def _used_constants(name: str, value: Json) -> list[str]:
    """Return the constants that one uses; the bare root has this one in it, too."""
    used: list[str] = []
    for text in _expressions_in(value):
        for reference in references(parse(text)):
            if reference.root == "constants":
                used.append(str(reference.keys[0].value) if reference.keys else name)
    return list(dict.fromkeys(used))


def _expressions_in(value: Json) -> Iterator[str]:
    pending: list[Json] = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, str):
            if is_expression(current):
                yield current
        elif isinstance(current, dict):
            pending.extend(reversed(current.values()))
        elif isinstance(current, list):
            pending.extend(reversed(current))


def _resolved(value: Json, scope: Mapping[str, Any], depth: int) -> Json:
    if isinstance(value, str):
        return evaluate(parse(value), scope) if is_expression(value) else value
    if not isinstance(value, (dict, list)):
        return value
    if depth == 0:
        raise ExpressionError(f"a value is nested more than {MAX_DEPTH} deep", code="too-deep")
    if isinstance(value, list):
        return [_resolved(item, scope, depth - 1) for item in value]
    return {key: _resolved(item, scope, depth - 1) for key, item in value.items()}


def _is_larger(value: Json, limit: int) -> bool:
    """Tell whether a value has more than `limit` nodes, counting shared parts each time."""
    pending: list[Json] = [value]
    for _ in range(limit + 1):
        if not pending:
            return False
        current = pending.pop()
        if isinstance(current, dict):
            pending.extend(current.values())
        elif isinstance(current, list):
            pending.extend(current)
    return True


def _walk(value: Json, keys: tuple[Key, ...]) -> Json:
    for key in keys:
        value = _member(value, key.value)
        if value is None:
            break
    return value


def _member(value: Json, key: str | int | float) -> Json:
    """Read one member; a number and the text of it mean the same, as in JSON's language."""
    if isinstance(value, dict):
        return value.get(str(key))
    if isinstance(value, list) and (isinstance(key, int) or _is_index(key)):
        index = int(key)
        return value[index] if 0 <= index < len(value) else None
    return None


def _is_index(key: str | float) -> bool:
    return isinstance(key, str) and key.isascii() and key.isdigit() and str(int(key)) == key


def _steps_value(keys: tuple[Key, ...], states: list[dict[str, Json]]) -> Json:
    if not keys:
        return [_public(state) for state in states]
    key = keys[0].value
    if isinstance(key, str):
        found = next((state for state in states if state.get("id") == key), None)
    else:
        found = next((state for index, state in enumerate(states) if index == key), None)
    return None if found is None else _walk(_public(found), keys[1:])


def _public(state: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in state.items() if name != "id"}

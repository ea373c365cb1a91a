"""Checks of JSON Schemas and of values against them; imported only where a schema is.

Source:
    JSON Schema draft 2020-12.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import UnknownType, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from stepline.model.values import Json
from stepline.parsing.checker import Checker, join
from stepline.parsing.nodes import Mapping, Node, Sequence

_SHOWN = 10


def check_schema(checker: Checker, node: Node, *, source: str) -> bool:
    """Report what is wrong with a schema, and tell whether it is right."""
    validator = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    faults = _faults(validator.iter_errors(node.plain()))
    for fault in faults:
        path = list(fault.absolute_path)
        what = f"this is not a valid JSON Schema: {fault.message[:200]}"
        checker.error("invalid-schema", what, at=below(node, path), source=join(source, *path))
    return not faults


def check_default(checker: Checker, node: Node, *, source: str, schema: dict[str, Json]) -> None:
    """Report where a default does not follow its schema.

    A schema that cannot be applied (an unknown reference, a pattern in another dialect)
    refuses nothing. Nothing is fetched.
    """
    registry: Registry[Any] = Registry()
    try:
        validator = Draft202012Validator(schema, registry=registry)
        faults = _faults(validator.iter_errors(node.plain()))
    except (Unresolvable, UnknownType, RecursionError, re.error, ValueError, TypeError):
        what = "the schema cannot be applied to the default"
        checker.warning("unusable-schema", what, at=node, source=source)
        return
    for fault in faults:
        path = list(fault.absolute_path)
        what = f"the default does not follow the schema: {fault.message[:200]}"
        checker.error("default-schema", what, at=below(node, path), source=join(source, *path))


def below(node: Node, path: list[str | int]) -> Node:
    """Return the node at a path below another one, or the deepest that exists."""
    for key in path:
        if isinstance(node, Mapping) and key in node.entries:
            node = node.entries[str(key)]
        elif isinstance(node, Sequence) and isinstance(key, int) and key < len(node.items):
            node = node.items[key]
        else:
            break
    return node


def _faults(errors: Iterator[ValidationError]) -> list[ValidationError]:
    """Return the first faults, each the most telling one below it."""
    return [_innermost(error) for error in islice(errors, _SHOWN)]


def _innermost(error: ValidationError) -> ValidationError:
    while error.context:
        error = max(error.context, key=lambda inner: len(inner.absolute_path))
    return error

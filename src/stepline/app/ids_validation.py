"""Whether data follow an IDS: its JSON Schema, and the shapes of its datacubes.

Imports jsonschema, which takes tens of milliseconds: import this module late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import jsonschema
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

SHOWN = 20


def ids_problems(data: Any, schema: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with data, at most `SHOWN` problems of the schema.

    Args:
        data: JSON.
        schema: ``schema.json`` of the IDS, JSON Schema draft 7. What it refers to must be
            in it: nothing is fetched.
    """
    try:
        jsonschema.Draft7Validator.check_schema(schema)
        validator = jsonschema.Draft7Validator(schema, registry=Registry())
        errors = sorted(islice(validator.iter_errors(data), SHOWN), key=lambda e: e.json_path)
    except SchemaError as error:
        return [f"the IDS itself is not a valid schema: {error.message}"]
    except Unresolvable as error:
        return [f"the IDS refers to a schema that is not in it: {error.ref}"]
    except RecursionError:
        return ["the data are nested too deeply, or the IDS refers to itself without end"]
    if errors:
        return [_text(error) for error in errors]
    return list(_datacube_problems(data)) if isinstance(data, dict) else []


def _text(error: ValidationError) -> str:
    message = error.message
    return f"{error.json_path}: {message if len(message) <= 300 else message[:300] + '…'}"


def _datacube_problems(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield measures whose shape is not that of their dimensions.

    What is not built as a datacube is left to the schema.
    """
    for number, cube in _objects(data.get("datacubes")):
        scales = [one.get("scale", []) for _, one in _objects(cube.get("dimensions"))]
        dimensions = tuple(len(scale) if isinstance(scale, list) else 0 for scale in scales)
        for index, measure in _objects(cube.get("measures")):
            problem = _measure_problem(measure.get("value", []), dimensions)
            if problem:
                yield f"$.datacubes[{number}].measures[{index}].value: {problem}"


def _objects(entries: Any) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the objects of a list with their places in it."""
    listed = entries if isinstance(entries, list) else []
    return [(index, entry) for index, entry in enumerate(listed) if isinstance(entry, dict)]


def _measure_problem(value: Any, dimensions: tuple[int, ...]) -> str:
    """Return why a measure does not fit its dimensions; empty measures are let pass."""
    shape = _shape(value)
    if shape is None:
        return "lists of different lengths lie at the same depth"
    if shape == dimensions or _is_empty_measure(shape, dimensions):
        return ""
    return f"its shape is {list(shape)}, but the dimensions' scales have {list(dimensions)}"


def _is_empty_measure(shape: tuple[int, ...], dimensions: tuple[int, ...]) -> bool:
    if shape[-1] != 0:
        return False
    if not any(dimensions):
        return len(shape) <= max(len(dimensions), 1)
    return len(shape) == 1 or shape[:-1] == dimensions[:-1]


def _shape(value: Any) -> tuple[int, ...] | None:
    """Return the lengths of nested lists, outermost first; None where they are ragged."""
    if not isinstance(value, list) or not value:
        return (0,)
    if not any(isinstance(item, list) for item in value):
        return (len(value),)
    if not all(isinstance(item, list) for item in value):
        return None
    shapes = {_shape(item) for item in value}
    inner = shapes.pop()
    return None if shapes or inner is None else (len(value), *inner)

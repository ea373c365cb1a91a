"""JSON Schema to the type language, for config items that have a schema.

Source:
    The public protocol compiler's reading of schemas, including what it leaves open:
    ``allOf`` and ``$ref`` are ``any``, optional members are value-or-null.
"""

from __future__ import annotations

from stepline.expressions.types import (
    ANY,
    BOOLEAN,
    NEVER,
    NULL,
    NUMBER,
    STRING,
    UNKNOWN,
    Array,
    Object,
    Type,
    type_of_value,
    union,
)
from stepline.model.values import Json

_MAX_ITEMS = 1000
_SCALARS = {
    "string": STRING,
    "number": NUMBER,
    "integer": NUMBER,
    "boolean": BOOLEAN,
    "null": NULL,
}


def schema_type(schema: Json) -> Type:
    """Return the type of the values that a schema admits."""
    if isinstance(schema, bool):
        return UNKNOWN if schema else NEVER
    if not isinstance(schema, dict):
        return ANY
    if "type" in schema:
        by_type = _named_type(schema["type"], schema)
        by_rest = schema_type({key: value for key, value in schema.items() if key != "type"})
        return by_rest if by_type.accepts(by_rest) else by_type
    if "const" in schema:
        return type_of_value(schema["const"])
    listed = schema.get("enum")
    if isinstance(listed, list):
        return union(type_of_value(item) for item in listed)
    if isinstance(schema.get("allOf"), list) or "$ref" in schema:
        return ANY
    if "anyOf" in schema or "oneOf" in schema:
        options = [*_list(schema.get("anyOf")), *_list(schema.get("oneOf"))]
        return union(schema_type(option) for option in options)
    return UNKNOWN


def _named_type(name: Json, schema: dict[str, Json]) -> Type:
    if name == "object":
        return _object_type(schema)
    if name == "array":
        return _array_type(schema)
    return _SCALARS.get(name, UNKNOWN) if isinstance(name, str) else UNKNOWN


def _object_type(schema: dict[str, Json]) -> Type:
    rest = schema_type(schema["additionalProperties"]) if "additionalProperties" in schema else None
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    required = [str(name) for name in _list(schema.get("required"))]
    members: dict[str, Type] = {}
    for name in [*required, *known]:
        found = schema_type(known[name]) if name in known else rest or UNKNOWN
        members[name] = found if name in required else union((found, NULL))
    return Object(members, rest)


def _array_type(schema: dict[str, Json]) -> Type:
    item = schema_type(schema.get("items", True))
    first = [schema_type(prefix) for prefix in _list(schema.get("prefixItems"))]
    least = _count(schema.get("minItems"), 0)
    most = schema.get("maxItems")
    bounded = isinstance(most, (int, float)) and not isinstance(most, bool)
    length = _count(most, 0) if bounded else max(least, len(first))
    items = [first[i] if i < len(first) else item for i in range(min(length, _MAX_ITEMS))]
    typed = [t if i < least else union((t, NULL)) for i, t in enumerate(items)]
    return Array(typed, None if bounded and length <= _MAX_ITEMS else item)


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _count(value: Json, default: int) -> int:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return max(int(value), 0) if is_number else default  # type: ignore[arg-type]  # checked

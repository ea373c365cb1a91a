"""Plain YAML scalars to values, by the core schema of YAML 1.2.

So ``yes``, ``no``, ``on``, ``off`` and dates are text, and ``014`` is fourteen.

Source:
    YAML 1.2.2, section 10.3.2 (core schema, tag resolution).
"""

from __future__ import annotations

import math
import re

Value = bool | int | float | str | None

_FIXED: dict[str, Value] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NUMBER_STARTS = frozenset("+-.0123456789")
_EXACT_DIGITS = 18


class NotJson(ValueError):
    """A scalar is a number that JSON does not have."""


def plain_value(text: str) -> Value:
    """Return the value of a scalar without quotes and tag.

    Raises:
        NotJson: It is infinite, not a number, or too large for a number.
    """
    if text in _FIXED:
        return _FIXED[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if _INTEGER.fullmatch(text):
        return integer(text)
    if _FLOAT.fullmatch(text):
        return finite(float(text))
    if _NOT_FINITE.fullmatch(text):
        raise NotJson(f"{text} is not a number that JSON has")
    return text


def integer(text: str) -> int | float:
    """Return a whole number; a float once it has more than 18 digits.

    Raises:
        NotJson: It is too large for a number.
    """
    if text.startswith(("0o", "0x")):
        digits, radix = text[2:], 8 if text[1] == "o" else 16
        if len(digits) > _EXACT_DIGITS:
            raise NotJson(f"{text[:20]}… is too large")
        return int(digits, radix)
    return int(text) if len(text) <= _EXACT_DIGITS else finite(float(text))


def finite(value: float) -> float:
    """Return the value.

    Raises:
        NotJson: It is infinite.
    """
    if math.isinf(value):
        raise NotJson("the number is too large")
    return value


def tagged_value(tag: str, text: str) -> Value:
    """Return the value of a scalar with one of the core schema's tags.

    Args:
        tag: Name after ``tag:yaml.org,2002:``.
        text: The scalar's text.

    Raises:
        NotJson: It is a number that JSON does not have.
        ValueError: The text does not fit the tag.
        KeyError: The tag does not belong to the core schema.
    """
    if tag == "str":
        return text
    kinds = _TAGGED[tag]
    value = plain_value(text)
    if tag == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) != (tag == "bool") or not isinstance(value, kinds):
        raise ValueError(f"{text!r} does not fit the tag !!{tag}")
    return value


_TAGGED: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "bool": (bool,),
    "int": (int, float),
    "float": (int, float),
}

"""What becomes of one column: its name, its type, and each of its values."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal, InvalidOperation
from typing import Any, NamedTuple

import times
import units

TYPES = ("text", "number", "integer", "boolean", "time", "date")
KEYS = {
    "from",
    "type",
    "unit",
    "to_unit",
    "format",
    "time_zone",
    "required",
    "values",
}
DIGITS = 12  # significant ones of a value in another unit
TRUE = ("true", "yes", "1", "y", "t")
FALSE = ("false", "no", "0", "n", "f")

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")

Convert = Callable[[str], str]


class Column(NamedTuple):
    """A column of the result.

    Attributes:
        name: In the result.
        sources: Names that it may have in the file; the first that is there counts.
        type: One of `TYPES`.
        unit: Of its values in the result; empty for none.
        required: Whether a missing value is an error.
        convert: Makes a value of the result of a text that is not missing.
    """

    name: str
    sources: tuple[str, ...]
    type: str
    unit: str
    required: bool
    convert: Convert


class Reading(NamedTuple):
    """How values are written in the file.

    Attributes:
        decimal: What parts whole and fraction of a number.
        thousands: What groups digits; empty for nothing.
        time_zone: Of times that name none; empty if they all do.
    """

    decimal: str = "."
    thousands: str = ""
    time_zone: str = ""


def column_of(name: str, given: Any, reading: Reading) -> Column:
    """Return a column.

    Args:
        name: In the result.
        given: Its name in the file, or an object; README.md has the keys.
        reading: How values are written.

    Raises:
        ValueError, TypeError: It is not understood; the message names the column.
    """
    wanted = {"from": given} if isinstance(given, (str, list)) else given
    try:
        if not isinstance(wanted, dict):
            raise TypeError(f"is a text, a list or an object, not {type(given).__name__}")
        return _column(name, wanted, reading)
    except (TypeError, ValueError) as error:
        raise type(error)(f"input 'columns': '{name}': {error}") from error


def _column(name: str, given: Mapping[str, Any], reading: Reading) -> Column:
    unknown = sorted(set(given) - KEYS)
    if unknown:
        raise ValueError(f"'{unknown[0]}' is no key; keys are: {', '.join(sorted(KEYS))}")
    kind = given.get("type", "text")
    if kind not in TYPES:
        raise ValueError(f"the type {kind!r} must be one of: {', '.join(TYPES)}")
    if ("unit" in given or "to_unit" in given) and kind != "number":
        raise ValueError(f"a unit belongs to the type number, not {kind}")
    required = given.get("required", False)
    if not isinstance(required, bool):
        raise TypeError("'required' is true or false")
    convert = _translated(given.get("values"), _CONVERTERS[kind](given, reading))
    unit = given.get("to_unit", given.get("unit", ""))
    return Column(name, _texts(given, "from", (name,)), kind, unit, required, convert)


def _number(given: Mapping[str, Any], reading: Reading) -> Convert:
    plain = _plain_number(reading)
    for key in ("unit", "to_unit"):
        if not isinstance(given.get(key, ""), str):
            raise TypeError(f"'{key}' is a text")
    if "to_unit" not in given:
        return lambda text: _shown(plain(text))
    if "unit" not in given:
        raise ValueError("'to_unit' needs 'unit', the one in the file")
    source, target = units.unit(given["unit"]), units.unit(given["to_unit"])
    if source.kind != target.kind:
        raise ValueError(
            f"{given['unit']} is a {source.kind}, and {given['to_unit']} a {target.kind}"
        )
    rounded = Context(prec=DIGITS).plus
    return lambda text: _shown(rounded(units.converted(plain(text), source, target)))


def _integer(given: Mapping[str, Any], reading: Reading) -> Convert:
    plain = _plain_number(reading)

    def convert(text: str) -> str:
        value = plain(text)
        if value != value.to_integral_value():
            raise ValueError(f"'{text}' is no whole number")
        return _shown(value)

    return convert


def _boolean(given: Mapping[str, Any], reading: Reading) -> Convert:
    def convert(text: str) -> str:
        word = text.lower()
        if word not in TRUE + FALSE:
            raise ValueError(f"'{text}' is none of {', '.join(TRUE + FALSE)}")
        return "true" if word in TRUE else "false"

    return convert


def _time(given: Mapping[str, Any], reading: Reading) -> Convert:
    formats = _texts(given, "format", ())
    name = given.get("time_zone", reading.time_zone)
    if not isinstance(name, str):
        raise TypeError("'time_zone' is a text")
    local = times.zone(name) if name else None
    return lambda text: times.moment(text, formats, local)


def _date(given: Mapping[str, Any], reading: Reading) -> Convert:
    formats = _texts(given, "format", ())
    return lambda text: times.day(text, formats)


_CONVERTERS: dict[str, Callable[[Mapping[str, Any], Reading], Convert]] = {
    "text": lambda given, reading: str,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "time": _time,
    "date": _date,
}


def _translated(values: Any, convert: Convert) -> Convert:
    """Let texts stand for others, before they are converted."""
    if values is None:
        return convert
    if not isinstance(values, dict) or not all(isinstance(each, str) for each in values.values()):
        raise TypeError("'values' is an object of texts")
    return lambda text: convert(values.get(text, text))


def _plain_number(reading: Reading) -> Callable[[str], Decimal]:
    def plain(text: str) -> Decimal:
        digits = text.replace(reading.thousands, "") if reading.thousands else text
        if reading.decimal != ".":
            # A point is then none of a number's, and must not become one.
            digits = digits.replace(".", "\0").replace(reading.decimal, ".")
        if not _NUMBER.fullmatch(digits):
            raise ValueError(f"'{text}' is no number")
        try:
            return Decimal(digits)
        except InvalidOperation:
            raise ValueError(f"'{text}' is no number that can be dealt with") from None

    return plain


def _shown(value: Decimal) -> str:
    """Return a number without needless digits; very small and large ones with an exponent."""
    if not value:
        return "0"
    plain = value.normalize()
    return f"{plain:f}" if -7 < plain.adjusted() < 16 else str(plain).replace("E+", "E")


def _texts(given: Mapping[str, Any], key: str, default: Sequence[str]) -> tuple[str, ...]:
    value = given.get(key)
    if value is None:
        return tuple(default)
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(map(_is_text, found)):
        raise TypeError(f"'{key}' is a text, or a list of them")
    return tuple(found)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)

"""Units of measurement, and how values change from one to another."""

from decimal import Decimal
from typing import NamedTuple


class Unit(NamedTuple):
    """A unit: a value in the base unit of its kind is ``factor * value + offset``.

    Attributes:
        kind: What is measured; only units of one kind can be converted.
    """

    kind: str
    factor: Decimal
    offset: Decimal = Decimal(0)


_FACTORS = {
    "mass": {"kg": "1000", "g": "1", "mg": "1e-3", "ug": "1e-6", "ng": "1e-9", "pg": "1e-12"},
    "volume": {"l": "1", "dl": "0.1", "ml": "1e-3", "ul": "1e-6", "nl": "1e-9"},
    "length": {"m": "1", "cm": "1e-2", "mm": "1e-3", "um": "1e-6", "nm": "1e-9"},
    "duration": {"s": "1", "ms": "1e-3", "us": "1e-6", "min": "60", "h": "3600", "d": "86400"},
    "pressure": {
        "Pa": "1",
        "hPa": "100",
        "kPa": "1000",
        "MPa": "1e6",
        "mbar": "100",
        "bar": "1e5",
        "psi": "6894.757293168",
    },
    "mass concentration": {
        "g/l": "1",
        "mg/ml": "1",
        "mg/l": "1e-3",
        "ug/ml": "1e-3",
        "ug/ul": "1",
        "ng/ul": "1e-3",
        "ng/ml": "1e-6",
        "mg/dl": "1e-2",
    },
    "molar concentration": {"mol/l": "1", "mmol/l": "1e-3", "umol/l": "1e-6", "nmol/l": "1e-9"},
    "fraction": {"1": "1", "%": "1e-2", "ppm": "1e-6"},
}

UNITS = {
    name: Unit(kind, Decimal(factor))
    for kind, factors in _FACTORS.items()
    for name, factor in factors.items()
} | {
    "K": Unit("temperature", Decimal(1)),
    "degC": Unit("temperature", Decimal(1), Decimal("273.15")),
    "degF": Unit("temperature", Decimal(5) / 9, Decimal("459.67") * 5 / 9),
}

# As instruments write them.
_OTHER_NAMES = {
    "\u00b0C": "degC",
    "\u00b0F": "degF",
    "C": "degC",
    "F": "degF",
    "L": "l",
    "mL": "ml",
    "uL": "ul",
    "nL": "nl",
    "dL": "dl",
    "sec": "s",
    "percent": "%",
    "M": "mol/l",
    "mM": "mmol/l",
    "uM": "umol/l",
    "nM": "nmol/l",
}


def unit(name: str) -> Unit:
    """Return a unit.

    Args:
        name: Such as ``degC`` or ``ug/ml``; other ways to write it are known too.

    Raises:
        ValueError: There is none of that name.
    """
    plain = name.strip().replace("\u00b5", "u").replace("\u03bc", "u")
    plain = "/".join(_OTHER_NAMES.get(part, part) for part in plain.split("/"))
    if plain not in UNITS:
        raise ValueError(f"the unit '{name}' is not known; known are: {', '.join(sorted(UNITS))}")
    return UNITS[plain]


def converted(value: Decimal, source: Unit, target: Unit) -> Decimal:
    """Return a value in another unit of the same kind."""
    return (value * source.factor + source.offset - target.offset) / target.factor

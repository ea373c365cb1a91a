"""Versions ``vX.Y.Z`` of artifacts, and the version ranges that protocols may name.

Source:
    Semantic Versioning 2.0.0; the range syntax of npm's semver package, which the
    public protocol compiler uses: comparators, ``1.x``, ``~``, ``^``, hyphens, ``||``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from stepline.frozen import frozen

MAX_LENGTH = 256
_MAX_PART = 2**53 - 1

_PART = r"(?:0|[1-9][0-9]{0,15})"
_PRE_ID = r"(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_PRE = rf"(?:-(?P<pre>{_PRE_ID}(?:\.{_PRE_ID})*))"
_BUILD = r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)"
_EXACT = re.compile(rf"v(?P<a>{_PART})\.(?P<b>{_PART})\.(?P<c>{_PART}){_PRE}?")
_WILD = rf"(?:{_PART}|[xX*])"
_PARTIAL = rf"[v=\s]*(?P<a>{_WILD})(?:\.(?P<b>{_WILD})(?:\.(?P<c>{_WILD})(?:{_PRE})?{_BUILD}?)?)?"
_COMPARATOR = re.compile(rf"(?P<op>~>?|\^|[<>]?=?)\s*{_PARTIAL}")
_HYPHEN = re.compile(r"\s*(\S.*?)\s+-\s+(\S.*?)\s*")
_SPACED_OPERATOR = re.compile(r"(~>?|\^|[<>]=?|=)\s+(?=\S)")


@frozen
class Version:
    """An exact version.

    Attributes:
        numbers: Major, minor, patch.
        prerelease: Identifiers after the hyphen, empty for a release.
    """

    numbers: tuple[int, int, int]
    prerelease: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Version | None:
        """Return the version that ``vX.Y.Z[-pre]`` names, None if it is none."""
        found = _EXACT.fullmatch(text) if len(text) <= MAX_LENGTH else None
        return _version(found) if found else None

    def __str__(self) -> str:
        text = "v{}.{}.{}".format(*self.numbers)
        return f"{text}-{'.'.join(self.prerelease)}" if self.prerelease else text

    @property
    def order(self) -> tuple[object, ...]:
        """Key by which versions sort; a prerelease comes before its release."""
        ids = tuple((0, int(i), "") if i.isdigit() else (1, 0, i) for i in self.prerelease)
        return (self.numbers, not self.prerelease, ids)


@frozen
class _Bound:
    """A comparison with a version; `lower` bounds from below."""

    version: Version
    lower: bool
    inclusive: bool

    def admits(self, version: Version) -> bool:
        if version == self.version:
            return self.inclusive
        return (version.order > self.version.order) == self.lower


@frozen
class VersionRange:
    """A version range, or one version written otherwise than ``vX.Y.Z``.

    Attributes:
        text: As the author wrote it.
        exact: The version, if the range is one version's name.
    """

    text: str
    alternatives: tuple[tuple[_Bound, ...], ...]
    exact: Version | None = None

    @classmethod
    def parse(cls, text: str) -> VersionRange | None:
        """Return the range that a text stands for, None if it is none."""
        if len(text) > MAX_LENGTH:
            return None
        body = " ".join(text.removeprefix("v").split())
        try:
            alternatives = tuple(_alternative(part.strip()) for part in body.split("||"))
        except ValueError:
            return None
        return cls(text, alternatives, _single(alternatives))

    def matches(self, version: Version) -> bool:
        """Tell whether a version lies in the range; prereleases only by exact name."""
        if version.prerelease and version != self.exact:
            return False
        return any(all(bound.admits(version) for bound in part) for part in self.alternatives)


def highest_match(versions: Iterable[str], wanted: VersionRange) -> str | None:
    """Return the highest of some ``vX.Y.Z`` versions that lies in a range."""
    parsed = (Version.parse(text) for text in versions)
    fitting = [version for version in parsed if version and wanted.matches(version)]
    return str(max(fitting, key=lambda version: version.order)) if fitting else None


def _version(found: re.Match[str]) -> Version | None:
    numbers = (int(found["a"]), int(found["b"]), int(found["c"]))
    if max(numbers) > _MAX_PART:
        return None
    return Version(numbers, tuple(found["pre"].split(".")) if found["pre"] else ())


def _single(alternatives: tuple[tuple[_Bound, ...], ...]) -> Version | None:
    """Return the one version that ``>=v <=v`` with both the same stands for."""
    if len(alternatives) != 1 or len(alternatives[0]) != 2:
        return None
    low, high = alternatives[0]
    same = low.version == high.version and low.inclusive and high.inclusive
    return low.version if same and low.lower and not high.lower else None


def _alternative(text: str) -> tuple[_Bound, ...]:
    hyphen = _HYPHEN.fullmatch(text)
    if hyphen:
        low = _bounds(">=", _partial(hyphen[1]))
        return (*low, *_bounds("<=", _partial(hyphen[2])))
    bounds: list[_Bound] = []
    for part in _SPACED_OPERATOR.sub(r"\1", text).split():
        found = _COMPARATOR.fullmatch(part)
        if found is None:
            raise ValueError(part)
        bounds += _bounds(found["op"], found)
    return tuple(bounds)


def _partial(text: str) -> re.Match[str]:
    found = re.compile(_PARTIAL).fullmatch(text)
    if found is None:
        raise ValueError(text)
    return found


def _bounds(operator: str, found: re.Match[str]) -> list[_Bound]:
    """Return the bounds that an operator and a perhaps partial version stand for."""
    given = [int(n) if n and n not in "xX*" else None for n in (found["a"], found["b"], found["c"])]
    known = given[: given.index(None)] if None in given else given
    numbers = [int(n or 0) for n in known]
    if any(n > _MAX_PART for n in numbers):
        raise ValueError(found.group())
    first = _padded(numbers)
    if len(numbers) == 3:
        if found.group().startswith("=="):
            raise ValueError(found.group())
        version = Version(first, tuple(found["pre"].split(".")) if found["pre"] else ())
        if operator not in ("~", "~>", "^"):
            return _full_bounds(operator, version)
    else:
        version = Version(first)
    return _partial_bounds(operator, version, numbers)


def _full_bounds(operator: str, version: Version) -> list[_Bound]:
    if operator in ("", "="):
        return [_Bound(version, True, True), _Bound(version, False, True)]
    return [_Bound(version, operator[0] == ">", operator.endswith("="))]


def _partial_bounds(operator: str, low: Version, numbers: list[int]) -> list[_Bound]:
    """Return the bounds of a version with wild parts, or of a tilde or caret."""
    if not numbers:
        nothing = Version((0, 0, 0))
        return [_Bound(nothing, False, False)] if operator in ("<", ">") else []
    above = _Bound(Version(_next(numbers, _fixed_parts(operator, numbers))), False, False)
    from_low = _Bound(low, True, True)
    if operator == ">":
        return [_Bound(above.version, True, True)]
    if operator == ">=":
        return [from_low]
    if operator == "<":
        return [_Bound(low, False, False)]
    return [above] if operator == "<=" else [from_low, above]


def _fixed_parts(operator: str, numbers: list[int]) -> int:
    """Return how many leading parts a range keeps as they are."""
    if operator.startswith("~"):
        return min(len(numbers), 2)
    if operator == "^":
        leading_zeros = next((i for i, n in enumerate(numbers) if n), len(numbers) - 1)
        return leading_zeros + 1
    return len(numbers)


def _next(numbers: list[int], fixed: int) -> tuple[int, int, int]:
    kept = numbers[:fixed]
    return _padded([*kept[:-1], kept[-1] + 1])


def _padded(numbers: list[int]) -> tuple[int, int, int]:
    a, b, c = [*numbers, 0, 0, 0][:3]
    return a, b, c

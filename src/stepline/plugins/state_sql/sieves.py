"""Conditions on files, that a search is made of.

A sieve lets through all files that a query finds. An exact one lets nothing else
through; of any other, what came through must be looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, and_, false, not_, or_, select, true, union_all

from stepline.frozen import frozen

Where: TypeAlias = Callable[[ColumnElement[int]], ColumnElement[bool]]


@frozen
class Part:
    """One of the conditions that all must hold.

    Attributes:
        where: The condition on the number of a file.
        rows: Selects the numbers of all files that fit, by an index; None without one.
        loose: Whether ``rows`` may select others too.
        once: Whether ``rows`` is sure to select each number once.
        terms: Fields and values, where the part is that a file has exactly one of these.
    """

    where: Where
    rows: Select[Any] | None = None
    loose: bool = False
    once: bool = False
    terms: tuple[tuple[str, str], ...] = ()


@frozen
class Sieve:
    """Conditions that all must hold; none lets all files through."""

    parts: tuple[Part, ...] = ()
    exact: bool = True


EVERYTHING = Sieve()
VAGUE = Sieve(exact=False)
NOTHING = Sieve((Part(lambda number: false()),))


def all_of(sieves: Iterable[Sieve]) -> Sieve:
    """Return the sieve of files that pass each of several."""
    given = list(sieves)
    parts = tuple(part for sieve in given for part in sieve.parts)
    return Sieve(parts, all(sieve.exact for sieve in given))


def any_of(sieves: Iterable[Sieve]) -> Sieve:
    """Return the sieve of files that pass at least one of several."""
    given = list(sieves)
    if len(given) == 1:
        return given[0]
    exact = all(sieve.exact for sieve in given)
    if any(not sieve.parts for sieve in given):
        return Sieve(exact=any(sieve.exact and not sieve.parts for sieve in given))
    rows = [sieve.parts[0].rows for sieve in given]
    found = [each for each in rows if each is not None]
    united = _united(found) if len(found) == len(rows) else None

    def where(number: ColumnElement[int]) -> ColumnElement[bool]:
        return or_(*(_whole(sieve, number) for sieve in given))

    return Sieve((Part(where, united, loose=True),), exact)


def none_of(sieves: Iterable[Sieve]) -> Sieve:
    """Return the sieve of files that pass none of several."""
    given = list(sieves)
    parts = tuple(
        Part(lambda number, sieve=sieve: not_(_whole(sieve, number)))  # type: ignore[misc]
        for sieve in given
        if sieve.exact
    )
    return Sieve(parts, all(sieve.exact for sieve in given))


def _whole(sieve: Sieve, number: ColumnElement[int]) -> ColumnElement[bool]:
    return and_(true(), *(part.where(number) for part in sieve.parts))


def _united(rows: list[Select[Any]]) -> Select[Any]:
    """Return the numbers that any of several statements gives."""
    both = union_all(*rows).subquery()
    return select(both.c.file)

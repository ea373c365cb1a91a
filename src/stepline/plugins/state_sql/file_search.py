"""Searches of files: by SQL where a query has an exact form in it, else by the engine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from stepline.engine.search import DEFAULT_SIZE, document, search
from stepline.model.file import FileRecord
from stepline.plugins.state_sql.file_index import CHANGES
from stepline.plugins.state_sql.file_query import FileQuery, key_sieve
from stepline.plugins.state_sql.file_terms import ODD, is_counted
from stepline.plugins.state_sql.records import COLUMNS, record_of
from stepline.plugins.state_sql.sieves import Part, Sieve
from stepline.plugins.state_sql.tables import counters, files, found_files, term_counts

# A part that lets through fewer files than this is what a search starts from.
_FEW = 1000
_MOST_TOTALS = 256

_ODD = select(term_counts.c.value).where(term_counts.c.field == ODD, term_counts.c.files > 0)
_ROWS = select(*COLUMNS).where(files.c.number.in_(bindparam("numbers", expanding=True)))
_COUNT = select(term_counts.c.files).where(
    term_counts.c.field == bindparam("a_field"), term_counts.c.value == bindparam("a_value")
)
_CHANGES = select(counters.c.value).where(counters.c.name == CHANGES)


class Totals:
    """How many files queries found, for as long as no file changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes = -1
        self._known: dict[str, int] = {}

    def get(self, query: str, changes: int) -> int | None:
        """Return a total; ``changes`` counts those of files up to now."""
        with self._lock:
            return self._known.get(query) if changes == self._changes else None

    def keep(self, query: str, total: int, *, changes: int) -> None:
        """Keep a total, unless it is older than those that are kept."""
        with self._lock:
            if changes > self._changes or len(self._known) >= _MOST_TOTALS:
                self._known = {}
                self._changes = max(changes, self._changes)
            if changes == self._changes:
                self._known[query] = total


class FileSearch:
    """Answers searches.

    Args:
        connection: Within a transaction.
        totals: Known totals; None in a transaction whose changes may not last.
    """

    def __init__(self, connection: Connection, totals: Totals | None) -> None:
        self._connection = connection
        self._totals = totals

    def search(self, payload: Any, overlay: Sequence[FileRecord]) -> dict[str, Any]:
        """Return what `engine.search.search` would for the newest version of every file."""
        search(payload, [])  # refuses what it does not support
        body = payload or {}
        sieve = self._sieve(body)
        order = _order(body.get("sort"))
        if overlay or not sieve.exact or order is None or not self._has_all(order):
            return search(payload, self._candidates(sieve, overlay))
        return self._answer(body, sieve, order)

    def page(self, prefix: str, *, after: int, limit: int) -> tuple[int, list[int]]:
        """Return how many keys begin with a prefix, and the numbers of some such files.

        Args:
            prefix: Start of the keys.
            after: Only larger numbers.
            limit: Most numbers.
        """
        sieve = key_sieve(prefix)
        total = self._total(sieve, ["key", prefix])
        found, number = self._found(sieve)
        part = found.where(number > after).order_by(number).limit(limit)
        return total, [row.file for row in self._connection.execute(part)]

    def _sieve(self, body: Any) -> Sieve:
        odd = frozenset(self._connection.execute(_ODD).scalars())
        return FileQuery(odd).sieve(body.get("query", {"match_all": {}}))

    def _candidates(self, sieve: Sieve, overlay: Sequence[FileRecord]) -> Iterator[dict[str, Any]]:
        """Yield all files that may be found, those of the overlay last."""
        replaced = {record.pointer.key for record in overlay}
        numbers, number = self._found(sieve)
        within = numbers.order_by(number).subquery()
        rows = select(*COLUMNS).join(within, within.c.file == files.c.number)
        for row in self._connection.execute(rows.order_by(files.c.number)):
            if row.key not in replaced:
                yield document(record_of(row))
        yield from map(document, overlay)

    def _answer(self, body: Any, sieve: Sieve, order: list[Any]) -> dict[str, Any]:
        start, size = body.get("from", 0), body.get("size", DEFAULT_SIZE)
        total = self._total(sieve, body.get("query"))
        numbers: list[int] = []
        if size and start < total:
            found, number = self._found(sieve, sorts=bool(order))
            wanted = found.order_by(*order, number).limit(size).offset(start)
            numbers = [row.file for row in self._connection.execute(wanted)]
        shown = {"size": len(numbers), "_source": body.get("_source", True)}
        answer = search(shown, map(document, self.records(numbers)))
        answer["hits"]["total"]["value"] = total
        return answer

    def records(self, numbers: list[int]) -> list[FileRecord]:
        """Return file versions in the order of their numbers as given."""
        found: dict[int, FileRecord] = {}
        for at in range(0, len(numbers), _FEW):
            given = {"numbers": numbers[at : at + _FEW]}
            for row in self._connection.execute(_ROWS, given):
                found[row.number] = record_of(row)
        return [found[number] for number in numbers]

    def _found(self, sieve: Sieve, *, sorts: bool = False) -> tuple[Select[Any], Any]:
        """Return a statement for the numbers of files, and the column to order them by.

        Args:
            sieve: What they must pass.
            sorts: Whether they are to be sorted by columns of `found_files`.
        """
        first, few = self._first(sieve)
        number: Any = found_files.c.file
        if first is None or first.rows is None or (sorts and not few):
            return select(number).where(*(part.where(number) for part in sieve.parts)), number
        rest = [part for part in sieve.parts if part is not first or part.loose]
        if few:
            found = select(number).where(number.in_(first.rows))
        else:
            found, number = first.rows, first.rows.selected_columns[0]
        return found.where(*(part.where(number) for part in rest)), number

    def _first(self, sieve: Sieve) -> tuple[Part | None, bool]:
        """Return the part to start from, None for none, and whether it lets few files through.

        That is the one that lets the fewest through. If all let many, it is one that gives
        files in their order without sorting.
        """
        least, best, ordered = _FEW, None, None
        for part in sieve.parts:
            if part.rows is None:
                continue
            few = part.rows.limit(least).subquery()
            count = self._connection.execute(select(func.count()).select_from(few)).scalar() or 0
            if count < least:
                least, best = count, part
            elif len(part.terms) == 1:
                ordered = ordered or part
        return best or ordered, best is not None

    def _total(self, sieve: Sieve, query: Any) -> int:
        """Return how many files pass an exact sieve."""
        if (known := self._counted(sieve)) is not None:
            return known
        wanted = select(func.count()).select_from(self._all(sieve).subquery())
        if self._totals is None:
            return self._connection.execute(wanted).scalar() or 0
        name = json.dumps(query)
        changes = self._connection.execute(_CHANGES).scalar() or 0
        total = self._totals.get(name, changes)
        if total is None:
            total = self._connection.execute(wanted).scalar() or 0
            self._totals.keep(name, total, changes=changes)
        return total

    def _all(self, sieve: Sieve) -> Select[Any]:
        """Return a statement for all numbers that pass a sieve, each once, in any order."""
        if len(sieve.parts) == 1 and sieve.parts[0].once and sieve.parts[0].rows is not None:
            return sieve.parts[0].rows
        return self._found(sieve)[0]

    def _counted(self, sieve: Sieve) -> int | None:
        """Return how many files pass a sieve, where that is kept."""
        if len(sieve.parts) > 1:
            return None
        terms = sieve.parts[0].terms if sieve.parts else (("", ""),)
        if not terms or not is_counted(terms[0][0]):
            return None
        given = [{"a_field": field, "a_value": value} for field, value in terms]
        return sum(self._connection.execute(_COUNT, each).scalar() or 0 for each in given)

    def _has_all(self, order: list[Any]) -> bool:
        """Whether every file has a value in the columns to sort by."""
        if not order:
            return True
        missing = select(found_files.c.file).where(found_files.c.created_at.is_(None)).limit(1)
        return self._connection.execute(missing).first() is None


_SORTED = {"size": found_files.c.size, "createdAt": found_files.c.created_at}


def _order(sort: Any) -> list[Any] | None:
    """Return columns to sort by, None where there are none for a valid ``sort``."""
    found = []
    for term in sort if isinstance(sort, list) else [] if sort is None else [sort]:
        fields = {term: "asc"} if isinstance(term, str) else term
        for field, given in fields.items():
            if field in ("_score", "_doc"):
                continue
            if field not in _SORTED:
                return None
            order = given if isinstance(given, str) else given.get("order", "asc")
            found.append(_SORTED[field].desc() if order == "desc" else _SORTED[field].asc())
    return found

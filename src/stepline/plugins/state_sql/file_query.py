"""From a query of the search language to a sieve.

Takes queries that `engine.queries.compile_query` accepted. What has no exact
translation becomes a wider sieve: the engine looks again at what comes through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, exists, select

from stepline.engine.fields import NESTED, TEXT, words
from stepline.engine.values import instant, text_of
from stepline.plugins.state_sql.file_terms import EXISTS, METADATA, SCALARS, WORD, micros
from stepline.plugins.state_sql.label_query import label_sieve
from stepline.plugins.state_sql.sieves import (
    EVERYTHING,
    NOTHING,
    VAGUE,
    Part,
    Sieve,
    all_of,
    any_of,
    none_of,
)
from stepline.plugins.state_sql.tables import file_terms, files, found_files
from stepline.plugins.state_sql.texts import between, fits, text_given

_MOST_VALUES = 1000
_ALWAYS = frozenset({"fileId", "category", "size", "file.bucket", "file.path", "file.version"})
_WITHOUT_EFFECT = frozenset({"boost", "_name"})
_LARGEST = 2**63
_LITERAL = re.compile(r"[*?\\]")


class FileQuery:
    """Translates queries.

    Args:
        odd: Fields that have values which are in no table.
    """

    def __init__(self, odd: frozenset[str]) -> None:
        self._odd = odd

    def sieve(self, query: Any) -> Sieve:
        """Return the sieve of a query."""
        [(form, body)] = query.items()
        make: Callable[[Any], Sieve] | None = getattr(self, f"_{form}", None)
        return VAGUE if make is None else make(body)

    def _match_all(self, body: Any) -> Sieve:
        del body
        return EVERYTHING

    def _match_none(self, body: Any) -> Sieve:
        del body
        return NOTHING

    def _constant_score(self, body: Any) -> Sieve:
        return self.sieve(body["filter"])

    def _bool(self, body: Any) -> Sieve:
        must, filters, should, must_not = (
            [self.sieve(query) for query in _as_list(body.get(name))]
            for name in ("must", "filter", "should", "must_not")
        )
        required = all_of([*must, *filters, none_of(must_not)])
        given = body.get("minimum_should_match")
        if given is None and (must or filters or not should):
            return required
        if given is None or (should and text_of(given) == "1"):
            return all_of([required, any_of(should)])
        return all_of([required, VAGUE])

    def _term(self, body: Any) -> Sieve:
        field, given = _entry(body)
        if isinstance(given, Mapping):
            folds = given.get("case_insensitive") is True
            return VAGUE if folds else self._same(field, [given["value"]])
        return self._same(field, [given])

    def _terms(self, body: Any) -> Sieve:
        field, values = _entry(body)
        return self._same(field, values)

    def _ids(self, body: Any) -> Sieve:
        return self._same("fileId", [one for one in body["values"] if isinstance(one, str)])

    def _match(self, body: Any) -> Sieve:
        field, given = _entry(body)
        options = given if isinstance(given, Mapping) else {"query": given}
        if field not in TEXT:
            return self._same(field, [options["query"]])
        sought = [self._word(field, word) for word in words(text_of(options["query"]))]
        if not sought:
            return NOTHING
        if "minimum_should_match" in options:
            return all_of([any_of(sought), VAGUE])
        every = str(options.get("operator", "or")).lower() == "and"
        return all_of(sought) if every else any_of(sought)

    def _match_phrase(self, body: Any) -> Sieve:
        field, given = _entry(body)
        wanted = given["query"] if isinstance(given, Mapping) else given
        if field not in TEXT:
            return self._same(field, [wanted])
        sought = [self._word(field, word) for word in words(text_of(wanted))]
        return all_of([*sought, VAGUE]) if sought else NOTHING

    def _prefix(self, body: Any) -> Sieve:
        field, given = _entry(body)
        options = given if isinstance(given, Mapping) else {"value": given}
        if options.get("case_insensitive") is True:
            return VAGUE
        return self._begins(field, text_of(options["value"]))

    def _wildcard(self, body: Any) -> Sieve:
        field, given = _entry(body)
        options = given if isinstance(given, Mapping) else {"value": given}
        if options.get("case_insensitive") is True:
            return VAGUE
        pattern = text_of(options["value"] if "value" in options else options["wildcard"])
        start = _LITERAL.split(pattern, maxsplit=1)[0]
        return all_of([self._begins(field, start), VAGUE]) if start else VAGUE

    def _exists(self, body: Any) -> Sieve:
        field = _plain(body["field"])
        if field == "_id" or field in _ALWAYS:
            return EVERYTHING
        if _is_nested(field):
            return NOTHING
        if not self._has_terms(field):
            return VAGUE
        return _has_term(EXISTS, [field])

    def _nested(self, body: Any) -> Sieve:
        if body.get("path") not in NESTED:
            return NOTHING
        return VAGUE if "labels" in self._odd else label_sieve(body["query"])

    def _range(self, body: Any) -> Sieve:
        field, bounds = _entry(body)
        if _is_nested(field):
            return NOTHING
        field = _plain(field)
        limits = {name: bounds[name] for name in _BOUNDS if bounds.get(name) is not None}
        if field == "size":
            return _size_range(limits)
        if field == "createdAt" and limits and field not in self._odd:
            return _time_range(limits)
        if self._has_terms(field) and all(_bounds_text(bound) for bound in limits.values()):
            return _term_where(field, lambda value: between(value, limits))
        return VAGUE

    def _same(self, field: str, values: list[Any]) -> Sieve:
        """Return the sieve of files with one of several values in a field."""
        if _is_nested(field) or not values:
            return NOTHING
        if len(values) > _MOST_VALUES:
            return VAGUE
        field = "fileId" if field == "_id" else _plain(field)
        if field == "size":
            return _size_is(values)
        texts = [text for text in map(text_of, values) if text_given(text)]
        if field == "fileId":
            return _id_is(texts)
        if field == "file.path":
            return _found_where(lambda table: table.c.key.in_(texts))
        return _has_term(field, texts) if self._has_terms(field) else VAGUE

    def _begins(self, field: str, start: str) -> Sieve:
        if _is_nested(field):
            return NOTHING
        field = _plain(field)
        if not text_given(start) or not (field == "file.path" or self._has_terms(field)):
            return VAGUE
        if field == "file.path":
            return _found_where(lambda table: fits(table.c.key, start))
        return _term_where(field, lambda value: fits(value, start))

    def _word(self, field: str, word: str) -> Sieve:
        if field in self._odd or not text_given(word):
            return VAGUE
        return _has_term(field + WORD, [word])

    def _has_terms(self, field: str) -> bool:
        """Whether all values of a field are terms."""
        # Where there is no such key, this one means all of the metadata.
        own = field.startswith(METADATA) and field.count(".") == 1 and field != _AMBIGUOUS
        return (own or field in SCALARS) and field not in self._odd and text_given(field)


_AMBIGUOUS = f"{METADATA}keyword"
_BOUNDS = ("gt", "gte", "lt", "lte")


def key_sieve(prefix: str) -> Sieve:
    """Return the sieve of files whose keys begin with a prefix."""
    if not prefix:
        return EVERYTHING
    return _found_where(lambda table: fits(table.c.key, prefix)) if text_given(prefix) else NOTHING


def _entry(body: Any) -> tuple[str, Any]:
    """Return the one field that a form's body names, and what it says of it."""
    [(field, given)] = [item for item in body.items() if item[0] not in _WITHOUT_EFFECT]
    return field, given


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _plain(field: str) -> str:
    """Return a field's name without the suffix that changes nothing."""
    return field if field == _AMBIGUOUS else field.removesuffix(".keyword")


def _is_nested(field: str) -> bool:
    return field.partition(".")[0] in NESTED


def _bounds_text(bound: Any) -> bool:
    """Whether a bound compares with any text by its characters."""
    return isinstance(bound, str) and text_given(bound) and instant(bound) is None


def _has_term(field: str, values: list[str]) -> Sieve:
    if not values:
        return NOTHING
    wanted = sorted(set(values))

    def where(number: ColumnElement[int]) -> ColumnElement[bool]:
        term = file_terms.alias()
        return exists().where(_is_term(term, field, wanted), term.c.file == number)

    term = file_terms.alias()
    rows = select(term.c.file).where(_is_term(term, field, wanted))
    # A file may have several tags, but one value of anything else.
    distinct = len(wanted) == 1 or (field not in ("tags", EXISTS) and not field.endswith(WORD))
    terms = tuple((field, value) for value in wanted) if distinct else ()
    return Sieve((Part(where, rows, terms=terms, once=distinct),))


def _is_term(term: FromClause, field: str, values: list[str]) -> ColumnElement[bool]:
    one = term.c.value == values[0] if len(values) == 1 else term.c.value.in_(values)
    return and_(term.c.field == field, one)


def _term_where(field: str, test: Callable[[Any], ColumnElement[bool]]) -> Sieve:
    term = file_terms.alias()
    rows = select(term.c.file).where(term.c.field == field, test(term.c.value))
    # Not by the file: the index leads from values to files only.
    return Sieve((Part(lambda number: number.in_(rows), rows),))


def _found_where(test: Callable[[FromClause], ColumnElement[bool]]) -> Sieve:
    def where(number: ColumnElement[int]) -> ColumnElement[bool]:
        found = found_files.alias()
        return exists().where(found.c.file == number, test(found))

    found = found_files.alias()
    rows: Select[Any] = select(found.c.file).where(test(found))
    return Sieve((Part(where, rows, once=True),))


def _id_is(ids: list[str]) -> Sieve:
    wanted = [one for one in ids if one]

    def where(number: ColumnElement[int]) -> ColumnElement[bool]:
        version = files.alias()
        return exists().where(version.c.number == number, version.c.file_id.in_(wanted))

    version, found = files.alias(), found_files.alias()
    rows: Select[Any] = (
        select(found.c.file)
        .join(version, version.c.number == found.c.file)
        .where(version.c.file_id.in_(wanted))
    )
    return Sieve((Part(where, rows),)) if wanted else NOTHING


def _size_is(values: list[Any]) -> Sieve:
    if not all(_is_number(value) for value in values):
        return VAGUE
    return _found_where(lambda table: table.c.size.in_(values))


def _size_range(limits: Mapping[str, Any]) -> Sieve:
    if not all(_is_number(bound) for bound in limits.values()):
        return VAGUE
    return _found_where(lambda table: between(table.c.size, limits))


def _is_number(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST
    # No text, which may be a number in many ways; no NaN.
    return whole or (isinstance(value, float) and value == value)


def _time_range(limits: Mapping[str, Any]) -> Sieve:
    moments: dict[str, int] = {}
    for name, bound in limits.items():
        moment = instant(bound, round_up=name in ("gt", "lte"))
        if moment is None:
            return VAGUE
        moments[name] = micros(moment)

    def test(table: FromClause) -> ColumnElement[bool]:
        return and_(table.c.created_us.is_not(None), between(table.c.created_us, moments))

    return _found_where(test)

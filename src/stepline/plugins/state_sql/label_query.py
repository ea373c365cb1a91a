"""From the inner query of ``nested`` on labels to a sieve: one label must fit all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, exists, false, not_, or_, select, true

from stepline.engine.values import text_of
from stepline.plugins.state_sql.sieves import VAGUE, Part, Sieve
from stepline.plugins.state_sql.tables import file_labels
from stepline.plugins.state_sql.texts import fits, text_given

_COLUMNS = {f"labels.{name}{end}": name for name in ("name", "value") for end in ("", ".keyword")}
_WANTED = {"term": "value", "prefix": "value", "match": "query", "match_phrase": "query"}


class _Untranslated(Exception):
    """A query has no exact form in SQL."""


def label_sieve(query: Any) -> Sieve:
    """Return the sieve of files of which one label fits a query; a vague one if need be."""
    try:
        _test(query, file_labels)
    except _Untranslated:
        return VAGUE

    def where(number: ColumnElement[int]) -> ColumnElement[bool]:
        label = file_labels.alias()
        return exists().where(label.c.file == number, _test(query, label))

    label = file_labels.alias()
    rows = select(label.c.file).where(_test(query, label))
    return Sieve((Part(where, rows),))


def _test(query: Any, label: FromClause) -> ColumnElement[bool]:
    [(form, body)] = query.items()
    if form == "bool":
        return _bool(body, label)
    if form == "constant_score":
        return _test(body["filter"], label)
    if form in ("match_all", "match_none"):
        return true() if form == "match_all" else false()
    if form == "exists":
        _column(body["field"], label)
        return true()  # every label has both
    return _field_test(form, body, label)


def _field_test(form: str, body: Mapping[str, Any], label: FromClause) -> ColumnElement[bool]:
    [(field, given)] = [item for item in body.items() if item[0] not in ("boost", "_name")]
    column = _column(field, label)
    options = given if isinstance(given, Mapping) else {"value": given, "query": given}
    if options.get("case_insensitive") is True:
        raise _Untranslated
    if form == "terms":
        return and_(true(), column.in_([one for one in map(text_of, given) if text_given(one)]))
    if form not in _WANTED:
        raise _Untranslated
    wanted = text_of(options[_WANTED[form]])
    if not text_given(wanted):
        raise _Untranslated
    return fits(column, wanted) if form == "prefix" else and_(true(), column == wanted)


def _bool(body: Mapping[str, Any], label: FromClause) -> ColumnElement[bool]:
    if body.get("minimum_should_match") is not None:
        raise _Untranslated
    must, filters, should, must_not = (
        [_test(query, label) for query in _as_list(body.get(name))]
        for name in ("must", "filter", "should", "must_not")
    )
    required = [*must, *filters]
    either = [or_(*should)] if should and not required else []
    return and_(true(), *required, *either, *(not_(each) for each in must_not))


def _column(field: str, label: FromClause) -> Any:
    if field not in _COLUMNS:
        raise _Untranslated
    return label.c[_COLUMNS[field]]


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]

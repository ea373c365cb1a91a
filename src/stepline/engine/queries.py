"""Query forms: from a query body to a predicate on a document.

A query is compiled before it meets a document, so a wrong one is refused even
where there is nothing to search.

Source:
    Elasticsearch reference, "Query DSL".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from stepline.engine.fields import (
    NESTED,
    TEXT,
    View,
    elements,
    field_values,
    glob_matches,
    words,
)
from stepline.engine.values import COMPARISONS, in_bound, same, text_of
from stepline.errors import UserError

Predicate: TypeAlias = Callable[[View], bool]

MAX_DEPTH = 30

# Scoring and naming of parts of a query change no match.
_WITHOUT_EFFECT = frozenset({"boost", "_name"})
_DATE_MATH = re.compile(r"now($|[-+/])|.*\|\|", re.DOTALL)
_PERCENT = re.compile(r"(-?\d{1,6})(%?)")


def compile_query(query: Any, *, depth: int = 0) -> Predicate:
    """Return the predicate of a query, ``{<form>: <body>}``.

    Raises:
        UserError: The query is malformed, or uses what is not supported.
    """
    if depth > MAX_DEPTH:
        raise UserError(f"a query is nested deeper than {MAX_DEPTH} levels")
    form, body = _only_entry(query, "a query")
    if form not in _FORMS:
        raise UserError(
            f"query form '{form}' is not supported",
            hint=f"use one of: {', '.join(sorted(_FORMS))}",
        )
    return _FORMS[form](body, depth)


def mapping_of(value: Any, what: str) -> Mapping[str, Any]:
    """Return a value that must be an object.

    Raises:
        UserError: It is something else.
    """
    if not isinstance(value, Mapping):
        raise UserError(f"{what} must be an object, not {value!r}")
    return value


def refuse_unknown(given: Mapping[str, Any], known: Sequence[str], *, what: str) -> None:
    """Refuse a key that is not known.

    Raises:
        UserError: It names the key and those that are supported.
    """
    for key in given:
        if key not in known and key not in _WITHOUT_EFFECT:
            raise UserError(
                f"'{key}' is not supported in {what}",
                hint=f"use one of: {', '.join(sorted(known))}" if known else "leave it out",
            )


def _match_all(body: Any, depth: int) -> Predicate:
    del depth
    refuse_unknown(mapping_of(body, "match_all"), (), what="match_all")
    return lambda view: True


def _match_none(body: Any, depth: int) -> Predicate:
    del depth
    refuse_unknown(mapping_of(body, "match_none"), (), what="match_none")
    return lambda view: False


def _term(body: Any, depth: int) -> Predicate:
    del depth
    field, wanted, options = _field_query(body, "term", known=("value", "case_insensitive"))
    fold = options.get("case_insensitive") is True
    return _any_value(field, lambda stored: same(stored, wanted, fold=fold))


def _terms(body: Any, depth: int) -> Predicate:
    del depth
    field, wanted = _field_entry(body, "terms")
    if not isinstance(wanted, list):
        raise UserError(f"terms on '{field}' must be an array, not {wanted!r}")
    return _any_value(field, lambda stored: any(same(stored, item) for item in wanted))


def _prefix(body: Any, depth: int) -> Predicate:
    del depth
    field, wanted, options = _field_query(body, "prefix", known=("value", "case_insensitive"))
    return _text_test(field, text_of(wanted), options, lambda stored, text: stored.startswith(text))


def _wildcard(body: Any, depth: int) -> Predicate:
    del depth
    known = ("value", "wildcard", "case_insensitive")
    field, wanted, options = _field_query(body, "wildcard", known=known)
    pattern = text_of(wanted)
    return _text_test(field, pattern, options, lambda stored, text: glob_matches(text, stored))


def _match(body: Any, depth: int) -> Predicate:
    del depth
    known = ("query", "operator", "minimum_should_match")
    field, wanted, options = _field_query(body, "match", known=known)
    if field not in TEXT:
        return _any_value(field, lambda stored: same(stored, wanted))
    sought = words(text_of(wanted))
    least = len(sought) if _operator(options) == "and" else 1
    if "minimum_should_match" in options:
        least = max(_least(options["minimum_should_match"], len(sought)), 1)

    def matches(view: View) -> bool:
        stored = set(_words_at(view, field))
        return bool(sought) and sum(word in stored for word in sought) >= least

    return matches


def _match_phrase(body: Any, depth: int) -> Predicate:
    del depth
    field, wanted, _ = _field_query(body, "match_phrase", known=("query",))
    if field not in TEXT:
        return _any_value(field, lambda stored: same(stored, wanted))
    sought = words(text_of(wanted))
    size = len(sought)

    def matches(view: View) -> bool:
        stored = _words_at(view, field)
        starts = range(len(stored) - size + 1)
        return size > 0 and any(stored[at : at + size] == sought for at in starts)

    return matches


def _range(body: Any, depth: int) -> Predicate:
    del depth
    field, bounds = _field_entry(body, "range")
    bounds = mapping_of(bounds, f"range on '{field}'")
    refuse_unknown(bounds, tuple(COMPARISONS), what="range")
    limits = [(name, bounds[name]) for name in COMPARISONS if bounds.get(name) is not None]
    for name, bound in limits:
        _scalar(bound, f"'{name}' of range on '{field}'")
        if isinstance(bound, str) and _DATE_MATH.match(bound):
            raise UserError(
                f"date math is not supported: '{bound}' in range on '{field}'",
                hint="give the time in ISO 8601, such as 2024-01-31T12:00:00Z",
            )
    return _any_value(field, lambda stored: all(in_bound(stored, n, bound=b) for n, b in limits))


def _exists(body: Any, depth: int) -> Predicate:
    del depth
    body = mapping_of(body, "exists")
    refuse_unknown(body, ("field",), what="exists")
    field = body.get("field")
    if not isinstance(field, str):
        raise UserError("exists needs 'field', the name of a field")
    return lambda view: any(_has_leaf(value) for value in field_values(view, field))


def _ids(body: Any, depth: int) -> Predicate:
    del depth
    body = mapping_of(body, "ids")
    refuse_unknown(body, ("values",), what="ids")
    wanted = body.get("values")
    if not isinstance(wanted, list):
        raise UserError(f"ids needs 'values', an array of file ids, not {wanted!r}")
    return _any_value("_id", lambda stored: stored in wanted)


def _nested(body: Any, depth: int) -> Predicate:
    body = mapping_of(body, "nested")
    refuse_unknown(body, ("path", "query", "score_mode", "ignore_unmapped"), what="nested")
    path = body.get("path")
    inner = compile_query(body.get("query"), depth=depth + 1)
    if isinstance(path, str) and path in NESTED:
        return lambda view: any(inner(element) for element in elements(view, path))
    if body.get("ignore_unmapped") is True:
        return lambda view: False
    raise UserError(
        f"{path!r} is not a nested field", hint=f"use one of: {', '.join(sorted(NESTED))}"
    )


def _constant_score(body: Any, depth: int) -> Predicate:
    body = mapping_of(body, "constant_score")
    refuse_unknown(body, ("filter",), what="constant_score")
    return compile_query(body.get("filter"), depth=depth + 1)


def _bool(body: Any, depth: int) -> Predicate:
    body = mapping_of(body, "bool")
    clauses = ("must", "filter", "should", "must_not")
    refuse_unknown(body, (*clauses, "minimum_should_match"), what="bool")
    must, filters, should, must_not = (
        [compile_query(query, depth=depth + 1) for query in _as_list(body.get(name))]
        for name in clauses
    )
    required = must + filters
    least = 1 if should and not required else 0
    if body.get("minimum_should_match") is not None:
        # Where only `should` is given, a match of none of it is no match.
        least = max(_least(body["minimum_should_match"], len(should)), least)

    def matches(view: View) -> bool:
        if not all(query(view) for query in required) or any(query(view) for query in must_not):
            return False
        return least <= 0 or sum(query(view) for query in should) >= least

    return matches


_FORMS: dict[str, Callable[[Any, int], Predicate]] = {
    "bool": _bool,
    "constant_score": _constant_score,
    "exists": _exists,
    "ids": _ids,
    "match": _match,
    "match_all": _match_all,
    "match_none": _match_none,
    "match_phrase": _match_phrase,
    "nested": _nested,
    "prefix": _prefix,
    "range": _range,
    "term": _term,
    "terms": _terms,
    "wildcard": _wildcard,
}


def _any_value(field: str, test: Callable[[Any], bool]) -> Predicate:
    """An array matches if any of its elements does."""
    return lambda view: any(test(stored) for stored in field_values(view, field))


def _text_test(
    field: str, wanted: str, options: Mapping[str, Any], test: Callable[[str, str], bool]
) -> Predicate:
    """Test the text of a field, without regard to case if the options say so."""
    if options.get("case_insensitive") is True:
        folded = wanted.lower()
        return _any_value(
            field, lambda stored: isinstance(stored, str) and test(stored.lower(), folded)
        )
    return _any_value(field, lambda stored: isinstance(stored, str) and test(stored, wanted))


def _field_entry(body: Any, form: str) -> tuple[str, Any]:
    """Return the one field that a form's body names, and what it says of it."""
    body = mapping_of(body, form)
    named = {key: value for key, value in body.items() if key not in _WITHOUT_EFFECT}
    return _only_entry(named, form)


def _field_query(
    body: Any, form: str, *, known: tuple[str, ...]
) -> tuple[str, Any, Mapping[str, Any]]:
    """Return field, wanted scalar and options of ``{field: scalar | {...}}``.

    Args:
        body: Body of the form.
        form: Name of the form.
        known: Options of the long form, the name or names of the wanted value included.
    """
    field, given = _field_entry(body, form)
    if not isinstance(given, Mapping):
        return field, _scalar(given, f"{form} on '{field}'"), {}
    refuse_unknown(given, known, what=form)
    names = [name for name in known if name in _VALUE_NAMES]
    for name in names:
        if name in given:
            return field, _scalar(given[name], f"{form} on '{field}'"), given
    raise UserError(f"{form} on '{field}' needs '{names[0]}'")


_VALUE_NAMES = frozenset({"value", "wildcard", "query"})


def _only_entry(value: Any, what: str) -> tuple[str, Any]:
    entries = list(mapping_of(value, what).items())
    if len(entries) != 1:
        named = ", ".join(str(key) for key, _ in entries) or "none"
        raise UserError(
            f"{what} must have exactly one key, but has {named}",
            hint="combine queries with bool",
        )
    return entries[0]


def _scalar(value: Any, what: str) -> Any:
    if value is None or isinstance(value, (Mapping, list)):
        raise UserError(f"{what} must be a string, number or boolean, not {value!r}")
    return value


def _operator(options: Mapping[str, Any]) -> str:
    name = str(options.get("operator", "or")).lower()
    if name not in ("and", "or"):
        raise UserError(f"operator of match must be 'and' or 'or', not '{name}'")
    return name


def _least(given: Any, total: int) -> int:
    """Return how many of ``total`` clauses must match.

    Args:
        given: A count or a percentage, rounded down; negative ones may be missing.
        total: Number of clauses.
    """
    found = _PERCENT.fullmatch(str(given).strip()) if not isinstance(given, bool) else None
    if found is None:
        raise UserError(
            f"minimum_should_match {given!r} is not supported",
            hint="use a count or a percentage, such as 2, -1 or 75%",
        )
    count = abs(int(found[1]))
    if found[2]:
        count = total * count // 100
    return total - count if found[1].startswith("-") else count


def _words_at(view: View, field: str) -> list[str]:
    values = field_values(view, field)
    return [word for value in values if isinstance(value, str) for word in words(value)]


def _has_leaf(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_leaf(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_leaf(item) for item in value)
    return value is not None


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]

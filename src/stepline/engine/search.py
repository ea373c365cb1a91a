"""Searches of files: an Elasticsearch request body over plain documents.

The part of Elasticsearch that task scripts use through ``context.search_eql``,
for a local folder or an embedded server. What is not supported is refused by name.

Source:
    Elasticsearch reference, "Search your data"; the published Context interface.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stepline.engine.fields import View, field_values, glob_matches
from stepline.engine.queries import compile_query, mapping_of, refuse_unknown
from stepline.errors import UserError
from stepline.model.file import FileRecord

DEFAULT_SIZE = 10
MAX_WINDOW = 10_000

_PARTS = ("query", "size", "from", "sort", "_source", "track_total_hits", "track_scores")
_PROVENANCE = ("workflowId", "pipelineId", "taskId", "taskSlug")


def search(payload: Any, documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the documents that a request body asks for.

    Args:
        payload: Request body; an empty one finds everything.
        documents: As `document` makes them; each has a ``fileId``.

    Returns:
        ``{"hits": {"total": {"value", "relation"}, "hits": [{"_id", "_source"}]}}``.
        There is no relevance: hits come in the order of ``documents`` where ``sort``
        does not tell. ``_source: false`` leaves ``_source`` out.

    Raises:
        UserError: The body is malformed, or uses what is not supported.
    """
    body = mapping_of({} if payload is None else payload, "a search")
    refuse_unknown(body, _PARTS, what="a search")
    matches = compile_query(body.get("query", {"match_all": {}}))
    start, size = _window(body)
    order = _sort_terms(body.get("sort"))
    includes, excludes = _source_patterns(body.get("_source", True))
    found = [one for one in documents if matches(View(one))]
    for field, descending, missing_first in reversed(order):
        found = _sorted(found, field, descending=descending, missing_first=missing_first)
    hits = []
    for one in found[start : start + size]:
        hit: dict[str, Any] = {"_id": one.get("fileId")}
        if body.get("_source") is not False:
            hit["_source"] = _kept(one, "", includes=includes, excludes=excludes)
        hits.append(hit)
    return {"hits": {"total": {"value": len(found), "relation": "eq"}, "hits": hits}}


def document(record: FileRecord) -> dict[str, Any]:
    """Return what a search sees of a file version.

    ``filePath`` is the key without organisation, source id and category.
    """
    pointer, source = record.pointer, record.source
    parts = pointer.key.split("/", 3)
    ids_name, _, ids_version = record.ids.partition(":")
    found: dict[str, Any] = {
        "fileId": pointer.file_id,
        "orgSlug": parts[0],
        "traceId": record.trace_id,
        "sourceFileId": record.source_file_id,
        "category": record.category.value,
        "filePath": parts[-1],
        "file": {"bucket": pointer.bucket, "path": pointer.key, "version": pointer.version},
        "size": record.size,
        "sha256": record.sha256,
        "createdAt": record.created_at,
        "source": {name: source.get(name) for name in ("id", "type", "name")},
        "metadata": dict(record.metadata),
        "tags": list(record.tags),
        "labels": [label.to_plain() for label in record.labels],
        "ids": record.ids,
        "idsType": ids_name.rpartition("/")[2],
        "idsTypeVersion": ids_version,
    }
    found.update({name: record.provenance.get(name) for name in _PROVENANCE})
    return {name: None if value == "" else value for name, value in found.items()}


def _window(body: Mapping[str, Any]) -> tuple[int, int]:
    start, size = body.get("from", 0), body.get("size", DEFAULT_SIZE)
    for name, value in (("from", start), ("size", size)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise UserError(f"'{name}' of a search must be an integer from 0, not {value!r}")
    if start + size > MAX_WINDOW:
        raise UserError(
            f"a search reaches at most {MAX_WINDOW} hits, but from + size is {start + size}",
            hint="narrow the query",
        )
    return start, size


def _sort_terms(sort: Any) -> list[tuple[str, bool, bool]]:
    """Return (field, descending, missing first) per sort term."""
    terms = sort if isinstance(sort, list) else [] if sort is None else [sort]
    return [one for term in terms for one in _sort_term(term)]


def _sort_term(term: Any) -> list[tuple[str, bool, bool]]:
    fields = {term: {}} if isinstance(term, str) else mapping_of(term, "a sort term")
    found = []
    for field, given in fields.items():
        options = {"order": given} if isinstance(given, str) else mapping_of(given, "a sort term")
        refuse_unknown(options, ("order", "missing", "unmapped_type"), what="sort")
        order, missing = options.get("order", "asc"), options.get("missing", "_last")
        if order not in ("asc", "desc"):
            raise UserError(f"order of sort on '{field}' must be 'asc' or 'desc', not {order!r}")
        if missing not in ("_first", "_last"):
            raise UserError(f"missing of sort on '{field}' must be '_first' or '_last'")
        # Every hit has the same score, and documents come in their own order.
        if field not in ("_score", "_doc"):
            found.append((field, order == "desc", missing == "_first"))
    return found


def _sorted(
    documents: list[Mapping[str, Any]], field: str, *, descending: bool, missing_first: bool
) -> list[Mapping[str, Any]]:
    """Sort stably; of several values the least counts, descending the greatest."""
    pick = max if descending else min
    present, missing = [], []
    for one in documents:
        keys = [_sort_key(value) for value in field_values(View(one), field)]
        if keys:
            present.append((pick(keys), one))
        else:
            missing.append(one)
    present.sort(key=lambda pair: pair[0], reverse=descending)
    ordered = [one for _, one in present]
    return missing + ordered if missing_first else ordered + missing


def _sort_key(value: Any) -> tuple[bool, Any]:
    """Numbers come before text."""
    return (False, value) if isinstance(value, (int, float)) else (True, str(value))


def _source_patterns(given: Any) -> tuple[list[str], list[str]]:
    """Return the patterns of fields to include and to exclude."""
    if isinstance(given, bool):
        return [], []
    if isinstance(given, Mapping):
        refuse_unknown(given, ("includes", "excludes"), what="_source")
        return _patterns(given.get("includes")), _patterns(given.get("excludes"))
    return _patterns(given), []


def _patterns(given: Any) -> list[str]:
    patterns = given if isinstance(given, list) else [] if given is None else [given]
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise UserError(f"_source must name fields, not {pattern!r}")
    return patterns


def _kept(value: Any, path: str, *, includes: list[str], excludes: list[str]) -> Any:
    """Return a value without what the patterns leave out.

    Args:
        value: Part of a document.
        path: Its dotted path, empty for the whole.
        includes: Patterns of paths to keep, with all below them; none keeps all.
        excludes: Patterns of paths to leave out, with all below them.
    """
    if isinstance(value, list):
        kept = [_kept(item, path, includes=includes, excludes=excludes) for item in value]
        return [item for item in kept if item != {}]
    if not isinstance(value, Mapping):
        return value
    found = {}
    for name, item in value.items():
        here = f"{path}.{name}" if path else name
        if _named(here, excludes):
            continue
        if not includes or _named(here, includes):
            found[name] = _kept(item, here, includes=[], excludes=excludes)
        elif isinstance(item, (Mapping, list)):
            inner = _kept(item, here, includes=includes, excludes=excludes)
            if _holds_objects(inner):
                found[name] = inner
    return found


def _holds_objects(value: Any) -> bool:
    """Whether something below is kept; an array's plain items go by its own name."""
    if isinstance(value, list):
        return any(isinstance(item, Mapping) for item in value)
    return bool(value)


def _named(path: str, patterns: list[str]) -> bool:
    return any(glob_matches(pattern, path) for pattern in patterns)

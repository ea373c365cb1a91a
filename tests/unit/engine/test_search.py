"""Tables of searches: which of five small documents each query finds."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepline.engine.search import document, search
from stepline.errors import UserError
from stepline.model.file import FileCategory, FilePointer, FileRecord, Label


def _file(name: str, **fields: Any) -> dict[str, Any]:
    return {"fileId": name, "category": "RAW", "tags": [], "labels": [], "metadata": {}, **fields}


def _labels(**values: str) -> list[dict[str, Any]]:
    return [{"id": 1, "name": name, "value": value} for name, value in values.items()]


FILES = [
    _file(
        "a",
        filePath="Lab-1/Plate Reader/run42.json",
        size=100,
        createdAt="2024-01-31T12:00:00Z",
        tags=["blue", "green"],
        labels=_labels(project="apollo", state="draft"),
        metadata={"operator": "Kim", "run": "42"},
        source={"id": "s1", "type": "folder", "name": "Plate Reader East"},
    ),
    _file(
        "b",
        category="IDS",
        filePath="Lab-1/run42.json/out.json",
        size=2000,
        createdAt="2024-02-01T00:00:00Z",
        tags=["green"],
        labels=_labels(project="gemini", state="apollo"),
        metadata={"operator": "kim"},
    ),
    _file("c", size=0, createdAt="2024-02-01T23:30:00+01:00", tags=["Blue"], checked=True),
    _file("d", size=50.5, createdAt="2024-03-01", metadata={"operator": None}, note="a*b"),
    _file("e", category="TMP", createdAt=None, metadata={"keyword": "k", "path": "x/y/z"}),
]

ALL = "abcde"


def _found(query: dict[str, Any], **rest: Any) -> str:
    hits = search({"query": query, "size": 100, **rest}, FILES)["hits"]["hits"]
    return "".join(hit["_id"] for hit in hits)


def _nested(*musts: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"nested": {"path": "labels", "query": {"bool": {"must": list(musts)}}, **rest}}


TERMS = [
    ("equal", {"term": {"category": "RAW"}}, "acd"),
    ("other-case", {"term": {"category": "raw"}}, ""),
    ("any-case", {"term": {"category": {"value": "raw", "case_insensitive": True}}}, "acd"),
    ("array-any-element", {"term": {"tags": "green"}}, "ab"),
    ("dotted", {"term": {"metadata.operator": "Kim"}}, "a"),
    ("keyword-suffix", {"term": {"metadata.operator.keyword": "Kim"}}, "a"),
    ("field-named-keyword", {"term": {"metadata.keyword": "k"}}, "e"),
    ("part-of-value", {"term": {"filePath": "run42"}}, ""),
    ("number", {"term": {"size": 100}}, "a"),
    ("number-as-text", {"term": {"size": "100"}}, "a"),
    ("fraction", {"term": {"size": 50.5}}, "d"),
    ("zero", {"term": {"size": 0}}, "c"),
    ("number-is-not-boolean", {"term": {"size": False}}, ""),
    ("text-as-number", {"term": {"metadata.run": 42}}, "a"),
    ("boolean", {"term": {"checked": True}}, "c"),
    ("boolean-as-text", {"term": {"checked": "true"}}, "c"),
    ("boolean-is-not-number", {"term": {"checked": 1}}, ""),
    ("object", {"term": {"source": "s1"}}, ""),
    ("missing-field", {"term": {"nowhere.at.all": "x"}}, ""),
    ("below-a-leaf", {"term": {"category.deeper": "RAW"}}, ""),
    ("id", {"term": {"_id": "b"}}, "b"),
    ("boost", {"term": {"category": {"value": "IDS", "boost": 2}}}, "b"),
    ("terms", {"terms": {"category": ["IDS", "TMP"], "boost": 1.0}}, "be"),
    ("terms-none", {"terms": {"category": []}}, ""),
    ("terms-in-array", {"terms": {"tags": ["Blue", "blue"]}}, "ac"),
    ("ids", {"ids": {"values": ["e", "a", "zz"]}}, "ae"),
]

TEXTS = [
    ("prefix", {"prefix": {"filePath": "Lab-1/run"}}, "b"),
    ("prefix-case", {"prefix": {"filePath": "lab-1"}}, ""),
    ("prefix-any-case", {"prefix": {"filePath": {"value": "LAB", "case_insensitive": True}}}, "ab"),
    ("prefix-of-number", {"prefix": {"size": "1"}}, ""),
    ("wildcard", {"wildcard": {"filePath": "*run42*"}}, "ab"),
    ("wildcard-whole-value", {"wildcard": {"filePath": "run42"}}, ""),
    ("wildcard-one-character", {"wildcard": {"tags": "?lue"}}, "ac"),
    ("wildcard-case", {"wildcard": {"tags": {"value": "b*"}}}, "a"),
    ("wildcard-key", {"wildcard": {"tags": {"wildcard": "B*", "case_insensitive": True}}}, "ac"),
    ("wildcard-escape", {"wildcard": {"note": r"a\*b"}}, "d"),
    ("wildcard-escape-misses", {"wildcard": {"tags": r"blu\*"}}, ""),
    ("match-word", {"match": {"filePath": "run42"}}, "ab"),
    ("match-word-any-case", {"match": {"filePath": "PLATE"}}, "a"),
    ("match-some-word", {"match": {"filePath": "plate nothing"}}, "a"),
    ("match-every-word", {"match": {"filePath": {"query": "plate lab", "operator": "AND"}}}, "a"),
    (
        "match-least",
        {"match": {"filePath": {"query": "plate lab none", "minimum_should_match": 2}}},
        "a",
    ),
    ("match-no-word", {"match": {"filePath": "--"}}, ""),
    ("match-exact-field", {"match": {"category": "RAW"}}, "acd"),
    ("match-exact-field-case", {"match": {"metadata.operator": "KIM"}}, ""),
    ("match-keyword", {"match": {"filePath.keyword": "run42"}}, ""),
    ("match-number", {"match": {"size": 100}}, "a"),
    ("match-long-form", {"match": {"category": {"query": "TMP"}}}, "e"),
    ("phrase", {"match_phrase": {"source.name": "reader east"}}, "a"),
    ("phrase-order", {"match_phrase": {"source.name": "east reader"}}, ""),
    ("phrase-exact-field", {"match_phrase": {"category": "IDS"}}, "b"),
]

RANGES = [
    ("above", {"range": {"size": {"gt": 50.5}}}, "ab"),
    ("from", {"range": {"size": {"gte": 50.5}}}, "abd"),
    ("between", {"range": {"size": {"gt": 0, "lt": 2000}}}, "ad"),
    ("text-bound", {"range": {"size": {"lte": "50.5"}}}, "cd"),
    ("wrong-bound", {"range": {"size": {"lte": "many"}}}, ""),
    ("no-bound", {"range": {"size": {}}}, "abcd"),
    ("null-bound", {"range": {"size": {"gte": 100, "lt": None}}}, "ab"),
    ("time", {"range": {"createdAt": {"gte": "2024-02-01T00:00:00Z"}}}, "bcd"),
    ("time-zone", {"range": {"createdAt": {"gt": "2024-02-01T23:00:00+01:00"}}}, "cd"),
    ("until-a-day-includes-it", {"range": {"createdAt": {"lte": "2024-02-01"}}}, "abc"),
    ("before-a-day", {"range": {"createdAt": {"lt": "2024-02-01"}}}, "a"),
    ("after-a-day-leaves-it-out", {"range": {"createdAt": {"gt": "2024-01-31"}}}, "bcd"),
    ("milliseconds", {"range": {"createdAt": {"lt": 1706745600000}}}, "a"),
    ("characters", {"range": {"metadata.operator": {"gte": "a"}}}, "b"),
    ("boolean-has-no-order", {"range": {"checked": {"gte": 0}}}, ""),
]

PRESENCE = [
    ("leaf", {"exists": {"field": "metadata.operator"}}, "ab"),
    ("object", {"exists": {"field": "metadata"}}, "abe"),
    ("array", {"exists": {"field": "tags"}}, "abc"),
    ("zero-exists", {"exists": {"field": "size"}}, "abcd"),
    ("null-does-not", {"exists": {"field": "createdAt"}}, "abcd"),
    ("nested-needs-nested", {"exists": {"field": "labels"}}, ""),
    ("all", {"match_all": {}}, ALL),
    ("none", {"match_none": {}}, ""),
    ("constant-score", {"constant_score": {"filter": {"term": {"category": "IDS"}}}}, "b"),
]

NAME_APOLLO = {"term": {"labels.name": "project"}}, {"term": {"labels.value": "apollo"}}
NESTED = [
    ("same-element", _nested(*NAME_APOLLO), "a"),
    ("one-condition", _nested(NAME_APOLLO[1]), "ab"),
    ("outside-of-nested", {"term": {"labels.name": "project"}}, ""),
    ("inside-sees-labels-only", _nested({"term": {"category": "RAW"}}), ""),
    ("exists", {"nested": {"path": "labels", "query": {"exists": {"field": "labels"}}}}, "ab"),
    ("score-mode", _nested(NAME_APOLLO[0], score_mode="max"), "ab"),
    ("unmapped", _nested(NAME_APOLLO[0], path="other", ignore_unmapped=True), ""),
]

RAW, GREEN, BIG = (
    {"term": {"category": "RAW"}},
    {"term": {"tags": "green"}},
    {"term": {"size": 2000}},
)
BOOLS = [
    ("empty", {"bool": {}}, ALL),
    ("must", {"bool": {"must": [RAW, GREEN]}}, "a"),
    ("must-single", {"bool": {"must": RAW}}, "acd"),
    ("filter", {"bool": {"filter": [GREEN], "must": [RAW]}}, "a"),
    ("must-not", {"bool": {"must_not": [RAW, GREEN]}}, "e"),
    ("should", {"bool": {"should": [RAW, BIG]}}, "abcd"),
    ("should-beside-must", {"bool": {"must": [RAW], "should": [BIG]}}, "acd"),
    ("least", {"bool": {"must": [RAW], "should": [GREEN], "minimum_should_match": 1}}, "a"),
    ("least-of-several", {"bool": {"should": [RAW, GREEN, BIG], "minimum_should_match": 2}}, "ab"),
    ("least-negative", {"bool": {"should": [RAW, GREEN, BIG], "minimum_should_match": -1}}, "ab"),
    ("least-share", {"bool": {"should": [RAW, GREEN, BIG], "minimum_should_match": "70%"}}, "ab"),
    (
        "least-missing-share",
        {"bool": {"should": [RAW, GREEN], "minimum_should_match": "-50%"}},
        "abcd",
    ),
    ("least-zero", {"bool": {"should": [RAW], "minimum_should_match": 0}}, "acd"),
    ("least-too-many", {"bool": {"should": [RAW], "minimum_should_match": 2}}, ""),
    ("should-and-must-not", {"bool": {"should": [RAW], "must_not": [GREEN]}}, "cd"),
    ("deep", {"bool": {"must": [{"bool": {"must_not": [{"bool": {"should": [RAW]}}]}}]}}, "be"),
]

TABLE = [
    pytest.param(query, found, id=f"{table}-{name}")
    for table, rows in {
        "term": TERMS,
        "text": TEXTS,
        "range": RANGES,
        "presence": PRESENCE,
        "nested": NESTED,
        "bool": BOOLS,
    }.items()
    for name, query, found in rows
]


@pytest.mark.parametrize(("query", "found"), TABLE)
def test_search_query_finds_documents(query: dict[str, Any], found: str) -> None:
    assert _found(query) == found


@pytest.mark.parametrize("payload", [None, {}, {"query": {"match_all": {}}}])
def test_search_without_condition_finds_all(payload: Any) -> None:
    hits = search(payload, FILES)["hits"]
    assert hits["total"] == {"value": 5, "relation": "eq"}
    assert hits["hits"] == [{"_id": one["fileId"], "_source": one} for one in FILES]


@pytest.mark.parametrize(
    ("window", "found"),
    [
        pytest.param({"size": 2}, "ab", id="size"),
        pytest.param({"size": 2, "from": 3}, "de", id="from"),
        pytest.param({"size": 2, "from": 9}, "", id="past-the-end"),
        pytest.param({"size": 0}, "", id="nothing-but-the-total"),
    ],
)
def test_search_window_pages_through_hits(window: dict[str, Any], found: str) -> None:
    hits = search(window, FILES)["hits"]
    assert "".join(hit["_id"] for hit in hits["hits"]) == found
    assert hits["total"]["value"] == 5


def test_search_without_size_returns_ten_hits() -> None:
    hits = search({}, [_file(str(number)) for number in range(11)])["hits"]
    assert len(hits["hits"]) == 10
    assert hits["total"]["value"] == 11


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        pytest.param("size", "cdabe", id="ascending-missing-last"),
        pytest.param({"size": "desc"}, "badce", id="descending-missing-last"),
        pytest.param(
            [{"size": {"order": "asc", "missing": "_first"}}], "ecdab", id="missing-first"
        ),
        pytest.param(["category", {"size": "desc"}], "badce", id="two-keys"),
        pytest.param({"tags": "asc"}, "cabde", id="least-of-several"),
        pytest.param({"tags": "desc"}, "abcde", id="greatest-of-several"),
        pytest.param(["_score", {"_doc": "asc"}], "abcde", id="score-and-order-of-documents"),
        pytest.param({"createdAt": {"order": "desc", "unmapped_type": "date"}}, "dcbae", id="time"),
    ],
)
def test_search_sort_orders_hits(sort: Any, found: str) -> None:
    assert _found({"match_all": {}}, sort=sort) == found


def _source(source: Any) -> Any:
    payload = {"query": {"ids": {"values": ["a"]}}, "_source": source}
    return search(payload, FILES)["hits"]["hits"][0].get("_source")


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        pytest.param(True, FILES[0], id="all"),
        pytest.param(False, None, id="none"),
        pytest.param([], FILES[0], id="no-pattern"),
        pytest.param("size", {"size": 100}, id="one-field"),
        pytest.param(
            ["source.id", "tags"], {"tags": ["blue", "green"], "source": {"id": "s1"}}, id="list"
        ),
        pytest.param("source", {"source": FILES[0]["source"]}, id="object"),
        pytest.param("meta*.run", {"metadata": {"run": "42"}}, id="pattern"),
        pytest.param(
            {"includes": ["labels"], "excludes": ["labels.id", "*.value"]},
            {"labels": [{"name": "project"}, {"name": "state"}]},
            id="excludes",
        ),
        pytest.param(
            "labels.name", {"labels": [{"name": "project"}, {"name": "state"}]}, id="in-array"
        ),
        pytest.param("tags.deeper", {}, id="below-a-leaf"),
    ],
)
def test_search_source_keeps_fields(source: Any, kept: Any) -> None:
    assert _source(source) == kept


REFUSED = [
    ({"query": {"fuzzy": {"a": "b"}}}, "query form 'fuzzy' is not supported"),
    ({"query": {"bool": {"must": [{"regexp": {"a": "b"}}]}}}, "query form 'regexp'"),
    ({"aggs": {}}, "'aggs' is not supported in a search"),
    ({"query": {}}, "a query must have exactly one key, but has none"),
    ({"query": {"term": {"a": 1}, "match": {"b": 2}}}, "but has term, match"),
    ({"query": {"term": {"a": 1, "b": 2}}}, "term must have exactly one key, but has a, b"),
    ({"query": ["term"]}, "a query must be an object, not ['term']"),
    ({"query": {"term": {"a": None}}}, "term on 'a' must be a string, number or boolean"),
    ({"query": {"term": {"a": {"boost": 1}}}}, "term on 'a' needs 'value'"),
    ({"query": {"terms": {"a": "b"}}}, "terms on 'a' must be an array"),
    ({"query": {"match": {"a": {"query": "b", "fuzziness": 1}}}}, "'fuzziness' is not supported"),
    ({"query": {"match": {"filePath": {"query": "b", "operator": "xor"}}}}, "'and' or 'or'"),
    ({"query": {"match_phrase": {"a": {"query": "b", "slop": 1}}}}, "'slop' is not supported"),
    ({"query": {"range": {"a": {"gte": 1, "format": "x"}}}}, "'format' is not supported in range"),
    ({"query": {"range": {"a": {"gte": "now-1d"}}}}, "date math is not supported: 'now-1d'"),
    ({"query": {"range": {"a": {"lt": "2024-01-01||/M"}}}}, "date math is not supported"),
    ({"query": {"range": {"a": {"gte": []}}}}, "'gte' of range on 'a' must be a string"),
    ({"query": {"exists": {}}}, "exists needs 'field'"),
    ({"query": {"ids": {"values": "a"}}}, "ids needs 'values'"),
    ({"query": {"nested": {"path": "tags", "query": {"match_all": {}}}}}, "'tags' is not a nested"),
    ({"query": {"nested": {"path": ["labels"], "query": {"match_all": {}}}}}, "is not a nested"),
    ({"query": {"nested": {"path": "labels"}}}, "a query must be an object, not None"),
    ({"query": {"bool": {"musts": []}}}, "'musts' is not supported in bool"),
    ({"query": {"bool": {"minimum_should_match": "2<75%"}}}, "minimum_should_match '2<75%'"),
    ({"query": {"match_all": {"analyzer": 1}}}, "'analyzer' is not supported in match_all"),
    ({"size": -1}, "'size' of a search must be an integer from 0, not -1"),
    ({"from": True}, "'from' of a search must be an integer from 0"),
    ({"from": 9_995}, "reaches at most 10000 hits, but from + size is 10005"),
    ({"sort": {"a": "up"}}, "order of sort on 'a' must be 'asc' or 'desc'"),
    ({"sort": {"a": {"missing": 0}}}, "missing of sort on 'a'"),
    ({"sort": {"a": {"nested": {}}}}, "'nested' is not supported in sort"),
    ({"_source": [1]}, "_source must name fields, not 1"),
    ("all", "a search must be an object, not 'all'"),
]


@pytest.mark.parametrize(("payload", "what"), REFUSED, ids=[what for _, what in REFUSED])
def test_search_unsupported_is_refused_without_documents(payload: Any, what: str) -> None:
    with pytest.raises(UserError) as caught:
        search(payload, [])
    assert what in caught.value.what


def test_search_unknown_form_names_supported_forms() -> None:
    with pytest.raises(UserError) as caught:
        search({"query": {"query_string": {"query": "a"}}}, [])
    assert caught.value.hint.startswith("use one of: bool, constant_score, exists, ids, match")


def test_search_query_nested_too_deep_is_refused() -> None:
    query: dict[str, Any] = {"match_all": {}}
    for _ in range(31):
        query = {"bool": {"must": [query]}}
    with pytest.raises(UserError, match="deeper than 30 levels"):
        search({"query": query}, [])


def test_search_long_wildcard_ends_soon() -> None:
    files = [_file("long", note="a" * 2000)]
    hits = search({"query": {"wildcard": {"note": "*a" * 30 + "b"}}}, files)["hits"]
    assert hits["total"]["value"] == 0


NAMES = st.sampled_from(
    [
        *("bool", "must", "should", "filter", "must_not", "minimum_should_match", "nested", "path"),
        *("term", "terms", "match", "match_phrase", "range", "exists", "field", "ids", "values"),
        *("query", "value", "gte", "lt", "wildcard", "prefix", "size", "from", "sort", "_source"),
        *("order", "missing", "labels", "labels.name", "filePath", "createdAt", "operator", "_id"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | NAMES
BODIES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@given(payload=st.dictionaries(NAMES, BODIES, max_size=3) | BODIES)
def test_search_any_body_is_answered_or_refused(payload: Any) -> None:
    with suppress(UserError):
        hits = search(payload, FILES)["hits"]
        assert 0 <= len(hits["hits"]) <= hits["total"]["value"] <= len(FILES)


RECORD = FileRecord(
    pointer=FilePointer("lake", "acme/source-1/IDS/plates/run42.json/out.json", "f-1", "v-1"),
    category=FileCategory.IDS,
    size=12,
    created_at="2024-01-31T12:00:00Z",
    source={"id": "source-1", "type": "folder"},
    metadata={"operator": "Kim"},
    tags=("blue",),
    labels=(Label("project", "apollo", 7),),
    ids="common/plate:v1.2.0",
    trace_id="f-0",
    provenance={"workflowId": "w-1", "step": "decode"},
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fileId", "f-1"),
        ("orgSlug", "acme"),
        ("traceId", "f-0"),
        ("sourceFileId", None),
        ("category", "IDS"),
        ("filePath", "plates/run42.json/out.json"),
        (
            "file",
            {
                "bucket": "lake",
                "path": "acme/source-1/IDS/plates/run42.json/out.json",
                "version": "v-1",
            },
        ),
        ("size", 12),
        ("createdAt", "2024-01-31T12:00:00Z"),
        ("source", {"id": "source-1", "type": "folder", "name": None}),
        ("metadata", {"operator": "Kim"}),
        ("tags", ["blue"]),
        ("labels", [{"id": 7, "name": "project", "value": "apollo"}]),
        ("ids", "common/plate:v1.2.0"),
        ("idsType", "plate"),
        ("idsTypeVersion", "v1.2.0"),
        ("workflowId", "w-1"),
        ("pipelineId", None),
    ],
)
def test_document_of_record_has_field(field: str, value: Any) -> None:
    assert document(RECORD)[field] == value


def test_document_of_record_is_found_by_label() -> None:
    found = search({"query": _nested(*NAME_APOLLO)}, [document(RECORD)])
    assert found["hits"]["hits"][0]["_source"]["file"]["version"] == "v-1"

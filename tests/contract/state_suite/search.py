"""Searches answer as the engine does over all newest versions."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepline.engine.search import document, search
from stepline.errors import UserError
from stepline.model.file import FileCategory, Label
from stepline.ports.files import LabelEdit
from tests.contract.state_suite.values import commit, file, read

WORDS = ("raw", "Plate", "a-b", "x", "7", "2030-01-02", "true", "")
TIMES = (
    "2030-01-01T00:00:00Z",
    "2030-01-01T02:00:00.5+02:00",
    "2030-01-02",
    "2029-12-31T23:59:59.999999Z",
    "soon",
    "",
)
FIELDS = (
    "fileId _id traceId category category.keyword filePath filePath.keyword size sha256 createdAt "
    "source.id source.name source.name.keyword metadata.k metadata.keyword metadata tags ids "
    "idsType workflowId taskId file.path file.version labels.name labels unknown orgSlug"
).split()


def some_records(seed, *, odd):
    """Return records of all kinds; odd ones hold values of unforeseen types too."""
    pick = random.Random(seed)
    strange = [3, None, ["raw", "x"], {"a": "raw"}, True, "\ud800"] if odd else []
    records = []
    for number in range(1, 60):
        name = "-".join(pick.choices(WORDS, k=2))
        path = f"org/src/RAW/{pick.choice(WORDS[:3])}/{name}.csv"
        labels = {(pick.choice(WORDS), pick.choice(WORDS)) for _ in range(pick.randrange(3))}
        values = [*WORDS, *strange]
        record = file(
            number,
            path,
            category=pick.choice(list(FileCategory)),
            size=pick.choice([0, 7, 7, 100, 2**40]),
            sha256=pick.choice(["", "ab", "cd"]),
            created_at=pick.choice(TIMES if odd else TIMES[:4]),
            source={"id": pick.choice(values), "name": pick.choice(WORDS)},
            metadata={pick.choice(["k", "keyword", "a.b"]): pick.choice(values)},
            tags=tuple(pick.choices(WORDS, k=pick.randrange(3))),
            labels=tuple(Label(*pair, id=at) for at, pair in enumerate(sorted(labels), 1)),
            ids=pick.choice(["", "common/raw:v1", "x"]),
            trace_id=pick.choice(["", "f-1", "f-2"]),
            provenance=pick.choice([{}, {"workflowId": "w-1", "taskId": pick.choice(values)}]),
        )
        records.append(record)
    return records


def bodies():
    """Return a strategy of request bodies."""
    scalars = st.sampled_from(
        [*WORDS, *TIMES, "f-1", "RAW", "RAW.x", 7, 7.5, 0, True, "raw-Plate", "raw.csv", "w-1"]
    )
    fields = st.sampled_from(FIELDS)
    bounds = st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), scalars, max_size=2)
    folding = st.fixed_dictionaries({"value": scalars, "case_insensitive": st.booleans()})
    least = st.sampled_from(["1", 2, "50%", -1])
    matching = st.fixed_dictionaries(
        {"query": scalars},
        optional={"operator": st.sampled_from(["and", "or"]), "minimum_should_match": least},
    )
    forms = {
        "term": (fields, scalars | folding),
        "terms": (fields, st.lists(scalars, max_size=3)),
        "prefix": (fields, st.sampled_from(["r", "raw", "", "f-", "P", "org/src", "2030"])),
        "wildcard": (fields, st.sampled_from(["r*", "*w", "raw*.csv", "?", "*", "ra\\w*"])),
        "match": (fields, scalars | matching),
        "match_phrase": (fields, scalars),
        "range": (fields, bounds),
    }
    leaves = [
        *(
            st.tuples(keys, values).map(lambda pair, form=form: {form: {pair[0]: pair[1]}})
            for form, (keys, values) in forms.items()
        ),
        fields.map(lambda field: {"exists": {"field": field}}),
        st.just({"match_all": {"boost": 2}}),
        st.just({"match_none": {}}),
        st.lists(st.sampled_from(["f-1", "f-50", 5]), max_size=3).map(
            lambda ids: {"ids": {"values": ids}}
        ),
    ]
    queries = st.recursive(st.one_of(leaves) | nested(), several, max_leaves=6)
    order = st.sampled_from(["asc", "desc", {"order": "desc", "missing": "_first"}])
    terms = st.dictionaries(
        st.sampled_from(["size", "createdAt", "_score", "filePath"]), order, min_size=1, max_size=2
    )
    optional = {
        "query": queries,
        "size": st.integers(0, 70),
        "from": st.integers(0, 20),
        "sort": terms | st.lists(terms, max_size=2) | st.just("createdAt"),
        "_source": st.sampled_from([True, False, ["fileId"], {"excludes": ["labels"]}]),
    }
    return st.fixed_dictionaries({}, optional=optional)


def nested():
    """Return a strategy of queries for one label."""
    fields = st.sampled_from(["labels.name", "labels.value", "labels.value.keyword", "labels.id"])
    scalars = st.sampled_from([*WORDS, 1])
    leaves = st.tuples(
        st.sampled_from(["term", "match", "prefix", "wildcard"]), fields, scalars
    ).map(lambda given: {given[0]: {given[1]: given[2]}})
    listed = st.tuples(fields, st.lists(scalars, max_size=2)).map(
        lambda given: {"terms": {given[0]: given[1]}}
    )
    present = st.sampled_from([{"exists": {"field": "labels.name"}}, {"match_all": {}}])
    inner = st.recursive(leaves | listed | present, several, max_leaves=4)
    return inner.map(lambda query: {"nested": {"path": "labels", "query": query}})


def several(queries):
    """Return a strategy of queries that are made of others."""
    some = st.lists(queries, max_size=3)
    least = {"minimum_should_match": st.sampled_from([0, 1, "1", 2, "50%"])}
    parts = {"must": some, "filter": queries, "should": some, "must_not": some, **least}
    return st.fixed_dictionaries({}, optional=parts).map(lambda body: {"bool": body})


def newest(records):
    """Return the newest version of each file, in the order of commits."""
    found = {}
    for record in records:
        found.pop(record.pointer.key, None)
        found[record.pointer.key] = record
    return list(found.values())


@pytest.mark.parametrize("odd", [False, True], ids=["plain", "odd"])
def test_state_search_answers_as_the_engine_does(state, odd):
    records = some_records(7, odd=odd)
    commit(state, *records[:30])
    commit(state, *records[30:])
    documents = [document(record) for record in newest(records)]

    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
    @given(bodies())
    def check(body):
        wanted = search(body, documents)
        assert read(state, lambda view: view.files.search(body)) == wanted
        assert state.write(lambda transaction: transaction.files.search(body)) == wanted

    check()


def test_state_search_sees_edits_of_labels_deletions_and_new_versions(state):
    records = some_records(8, odd=True)
    commit(state, *records)
    pick = random.Random(1)
    kept = newest(records)
    for record in pick.sample(kept, 12):
        edit = LabelEdit(
            record.pointer.file_id, (Label("raw", "raw", 90), Label("x", "", 91)), (1,)
        )
        commit(state, labels=(edit,))
        kept[kept.index(record)] = edit.apply(record)
    for record in pick.sample(kept, 8):
        state.write(
            lambda transaction, file_id=record.pointer.file_id: transaction.files.delete(file_id)
        )
        kept.remove(record)
    documents = [document(record) for record in kept]

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(bodies())
    def check(body):
        assert read(state, lambda view: view.files.search(body)) == search(body, documents)

    check()


def test_state_search_overlay_takes_the_place_of_equal_keys(state):
    records = some_records(9, odd=False)
    commit(state, *records)
    kept = newest(records)
    own = [file(70, kept[3].pointer.key, tags=("x",)), file(71, "org/src/RAW/new.csv", tags=("x",))]
    documents = [document(one) for one in [*kept[:3], *kept[4:], *own]]

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(bodies())
    def check(body):
        found = read(state, lambda view: view.files.search(body, overlay=own))
        assert found == search(body, documents)

    check()


@pytest.mark.parametrize(
    "body",
    [
        {"query": {"fuzzy": {"a": "b"}}},
        {"query": {"bool": {"must": [{"range": {"createdAt": {"gte": "now-1d"}}}]}}},
        {"size": 10_001},
        {"aggs": {}},
        [],
    ],
    ids=["form", "date math", "window", "part", "no object"],
)
def test_state_search_that_the_engine_refuses_is_refused_alike(state, body):
    with pytest.raises(UserError) as wanted:
        search(body, [])
    with pytest.raises(UserError) as raised:
        read(state, lambda view: view.files.search(body))
    assert str(raised.value) == str(wanted.value)

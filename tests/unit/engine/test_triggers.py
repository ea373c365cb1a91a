"""Which events start a pipeline, and the reason that is given."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepline.engine.triggers import MAX_REASON, Verdict, decide, facts_of, match
from stepline.model.file import FileCategory, FilePointer, FileRecord, Label
from stepline.model.ledger import Decision, EventKind
from stepline.model.patterns import MAX_PATTERN, MAX_TEXT, pattern_problem
from stepline.model.pipeline import (
    Clause,
    Condition,
    Group,
    Operator,
    Pipeline,
    PipelineSpec,
    PipelineStatus,
    Schedule,
)
from stepline.model.pipeline_rules import KEYS, NEGATIONS, OPERATORS, operators_of

AND, OR = Operator.AND, Operator.OR
IS_RAW = Clause("category", "is", "raw")
IS_IDS = Clause("category", "is", "IDS")
FROM_DEMO = Clause("sourceType", "is", "ssp-demo")

RECORD = FileRecord(
    pointer=FilePointer("lake", "acme/s-1/RAW/plates/run42.json", "f-1", "v-1"),
    category=FileCategory.RAW,
    source={"id": "s-1", "type": "ssp-demo", "name": "Reader 1"},
    metadata={"well": "A1"},
    tags=("blue", "urgent"),
    labels=(Label("plate", "7"), Label("plate", "8"), Label("team", "lab")),
    ids="common/plate:v1.2.0",
    provenance={"pipelineId": "p-0", "pipelineHistory": ["p-9", "p-0"]},
)


def group(operator, *clauses):
    return Condition(AND, (Group(operator, clauses),))


def one(key, operator, value=None):
    return match(group(AND, Clause(key, operator, value)), facts_of(RECORD))


def pipeline(trigger=None, *, status=PipelineStatus.ENABLED, deleted=False):
    trigger = trigger or group(AND, IS_RAW)
    spec = PipelineSpec(
        name="P", protocol="common/p:v1.0.0", trigger=trigger, run_on_deleted=deleted
    )
    return Pipeline(id="p-1", revision=1, spec=spec, status=status)


def test_facts_of_record_name_every_property():
    facts = facts_of(RECORD)
    assert {key: facts[key] for key in KEYS} == {
        "category": ("RAW",),
        "sourceId": ("s-1",),
        "sourceType": ("ssp-demo",),
        "sourceName": ("Reader 1",),
        "filePath": ("plates/run42.json",),
        "fileName": ("run42.json",),
        "ids": ("common/plate:v1.2.0",),
        "idsType": ("plate",),
        "idsVersion": ("v1.2.0",),
        "pipelineId": ("p-0",),
        "tags": ("blue", "urgent"),
    }
    assert facts["metadata.well"] == ("A1",)
    assert facts["labels.plate"] == ("7", "8")


@pytest.mark.parametrize(
    ("key", "operator", "value"),
    [
        ("category", "is", "raw"),
        ("category", "is one of", ("ids", "Raw")),
        ("category", "starts with", "r"),
        ("category", "matches", "^r"),
        ("category", "is not", "ids"),
        ("sourceType", "is not", "other"),
        ("fileName", "contains", "42"),
        ("fileName", "does not contain", "43"),
        ("filePath", "starts with", "plates/"),
        ("fileName", "ends with", ".json"),
        ("fileName", "matches", r"^run\d+\.json$"),
        ("fileName", "matches", r"\d\d"),
        ("labels.plate", "is", "8"),
        ("labels.plate", "exists", None),
        ("labels.other", "does not exist", None),
        ("labels.other", "is not", "7"),
        ("metadata.well", "is one of", ("B2", "A1")),
        ("tags", "has a tag that is", "urgent"),
        ("tags", "has no tag that is", "red"),
        ("tags", "exists", None),
    ],
)
def test_match_clause_that_holds_is_its_own_reason(key, operator, value):
    verdict = one(key, operator, value)
    assert verdict.matched
    assert verdict.reason.startswith(f"{key} {operator}")


@pytest.mark.parametrize(
    ("key", "operator", "value", "reason"),
    [
        ("category", "is", "IDS", "category is IDS: the file's is RAW"),
        ("category", "is not", "raw", "category is not raw: the file's is RAW"),
        ("sourceType", "is", "SSP-demo", "sourceType is SSP-demo: the file's is ssp-demo"),
        ("fileName", "contains", "x", "fileName contains x: the file's is run42.json"),
        ("fileName", "matches", "^x", "fileName matches ^x: the file's is run42.json"),
        ("labels.plate", "is not", "7", "labels.plate is not 7: the file's is 7, 8"),
        (
            "labels.plate",
            "is one of",
            ("1", "2"),
            "labels.plate is one of 1, 2: the file's is 7, 8",
        ),
        ("labels.x", "exists", None, "labels.x exists: the file has none"),
        ("labels.plate", "does not exist", None, "labels.plate does not exist: the file's is 7, 8"),
        (
            "tags",
            "has a tag that is",
            "red",
            "tags has a tag that is red: the file has blue, urgent",
        ),
        (
            "tags",
            "has no tag that is",
            "blue",
            "tags has no tag that is blue: the file has blue, urgent",
        ),
        ("metadata.x", "starts with", "a", "metadata.x starts with a: the file has none"),
    ],
)
def test_match_clause_that_fails_says_what_the_file_has(key, operator, value, reason):
    assert one(key, operator, value) == Verdict(False, reason)


@pytest.mark.parametrize(
    ("condition", "verdict"),
    [
        pytest.param(
            group(AND, IS_RAW, FROM_DEMO),
            Verdict(True, "category is raw and sourceType is ssp-demo"),
            id="all hold",
        ),
        pytest.param(
            group(AND, IS_RAW, IS_IDS, FROM_DEMO),
            Verdict(False, "category is IDS: the file's is RAW"),
            id="one of all fails",
        ),
        pytest.param(
            group(OR, IS_IDS, FROM_DEMO), Verdict(True, "sourceType is ssp-demo"), id="one of any"
        ),
        pytest.param(
            group(OR, IS_IDS, Clause("tags", "has a tag that is", "red")),
            Verdict(
                False,
                "none of 2 clauses holds (category is IDS: the file's is RAW; "
                "tags has a tag that is red: the file has blue, urgent)",
            ),
            id="none of any",
        ),
        pytest.param(
            Condition(OR, (Group(AND, (IS_RAW, IS_IDS)), Group(AND, (FROM_DEMO, IS_RAW)))),
            Verdict(True, "sourceType is ssp-demo and category is raw"),
            id="second group",
        ),
        pytest.param(
            Condition(AND, (Group(OR, (IS_IDS, IS_RAW)), Group(AND, (IS_IDS,)))),
            Verdict(False, "category is IDS: the file's is RAW"),
            id="second group fails",
        ),
        pytest.param(
            Condition(),
            Verdict(False, "the trigger has no clauses, so that no file matches"),
            id="empty",
        ),
        pytest.param(
            group(AND), Verdict(False, "a group without clauses matches nothing"), id="empty group"
        ),
    ],
)
def test_match_tree_names_what_decided(condition, verdict):
    assert match(condition, facts_of(RECORD)) == verdict


def test_match_temporary_file_never_matches():
    verdict = match(group(AND, Clause("category", "is", "TMP")), {"category": ("TMP",)})
    assert verdict == Verdict(False, "category: TMP files start no pipeline")


def test_match_reason_is_bounded():
    clauses = [Clause("fileName", "is", str(number) * 900) for number in range(100)]
    verdict = match(group(OR, *clauses), {"fileName": ("x" * 900,)})
    assert not verdict.matched
    assert len(verdict.reason) <= MAX_REASON


FACTS = st.dictionaries(
    st.sampled_from(["category", "fileName", "tags", "labels.a"]),
    st.lists(st.sampled_from(["raw", "a", "ab", "b"]), max_size=3).map(tuple),
)


@given(FACTS, st.sampled_from(["category", "fileName", "labels.a"]), st.data())
def test_match_negation_is_the_opposite(facts, key, data):
    negation = data.draw(st.sampled_from([each for each in NEGATIONS if each in operators_of(key)]))
    value = None if negation == "does not exist" else data.draw(st.sampled_from(["raw", "a"]))
    verdicts = [
        match(group(AND, Clause(key, operator, value)), facts).matched
        for operator in (negation, NEGATIONS[negation])
    ]
    assert sorted(verdicts) == [False, True]


def test_operators_of_keys_cover_all():
    assert {operator for key in KEYS for operator in operators_of(key)} == set(OPERATORS)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(", "unclosed group"),
        (r"(a)\1", "backreferences are not supported"),
        ("(?=a)", "look-around, including look-ahead and look-behind, is not supported"),
        ("a" * (MAX_PATTERN + 1), f"a pattern may have {MAX_PATTERN} characters, this one has 257"),
        ("(?:a{0,99}){0,999}x", "its counted repetitions multiply to too much"),
        ("(?:a{99,}){99}", "its counted repetitions multiply to too much"),
        (r"\w{250}", "Compiled regex exceeds size limit of 10485760 bytes."),
    ],
)
def test_pattern_problem_of_unusable_pattern_says_why(pattern, problem):
    assert pattern_problem(pattern) == problem


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+[!?].*z",
        "(a|a)*[!?].*z",
        "(a|aa)+[!?].*z",
        "a*" * 100 + "[!?].*z",
        "(?:a?){200}[!?].*z",
        r"(?:\w?){20}[!?].*z",
        "(?:a{0,9}){0,9}[!?].*z",
    ],
)
def test_match_pathological_pattern_takes_no_time(pattern):
    assert not pattern_problem(pattern)
    started = time.perf_counter()
    verdict = match(
        group(AND, Clause("fileName", "matches", pattern)), {"fileName": ("a" * MAX_TEXT,)}
    )
    assert not verdict.matched
    assert time.perf_counter() - started < 1


def test_match_pattern_on_too_long_text_says_so():
    facts = {"fileName": ("a" * (MAX_TEXT + 1),)}
    verdict = match(group(AND, Clause("fileName", "matches", "a")), facts)
    assert not verdict.matched
    assert verdict.reason.endswith("has over 2048 characters, which patterns do not look at")


@pytest.mark.parametrize("event", [EventKind.FILE, EventKind.LABELS])
def test_decide_file_that_matches_fires(event):
    assert decide(pipeline(), event, record=RECORD) == (Decision.FIRED, "category is raw")


def test_decide_file_that_does_not_match_is_recorded():
    decision = decide(pipeline(group(AND, IS_IDS)), EventKind.FILE, record=RECORD)
    assert decision == (Decision.NOT_MATCHED, "category is IDS: the file's is RAW")


@pytest.mark.parametrize(
    ("deleted", "expected"),
    [
        (True, (Decision.FIRED, "category is raw")),
        (False, (Decision.NOT_MATCHED, "deleted files do not start it: runOnDeleted is off")),
    ],
)
def test_decide_deletion_depends_on_setting(deleted, expected):
    assert decide(pipeline(deleted=deleted), EventKind.DELETED, record=RECORD) == expected


def test_decide_paused_pipeline_waits():
    decision = decide(pipeline(status=PipelineStatus.PAUSED), EventKind.FILE, record=RECORD)
    assert decision == (Decision.PAUSED, "the pipeline is paused; category is raw")


def test_decide_event_again_is_duplicate_even_if_paused():
    paused = pipeline(status=PipelineStatus.PAUSED)
    decision = decide(paused, EventKind.FILE, record=RECORD, already="w-1")
    assert decision == (Decision.DUPLICATE, "this event made workflow w-1 before")


def test_decide_file_that_came_from_the_pipeline_is_loop():
    own = Pipeline(id="p-9", revision=1, spec=pipeline().spec)
    decision = decide(own, EventKind.FILE, record=RECORD)
    assert decision == (Decision.LOOP, "the file came from this pipeline (p-9): p-9, p-0")


def test_decide_label_change_by_own_task_is_loop():
    decision = decide(pipeline(), EventKind.LABELS, record=RECORD, caused_by=["p-1"])
    assert decision == (Decision.LOOP, "a task of this pipeline (p-1) made the change")


def test_decide_own_file_that_does_not_match_is_not_matched():
    own = Pipeline(id="p-9", revision=1, spec=pipeline(group(AND, IS_IDS)).spec)
    found = decide(own, EventKind.FILE, record=RECORD)
    assert found is not None
    assert found[0] is Decision.NOT_MATCHED


@pytest.mark.parametrize("event", [EventKind.FILE, EventKind.LABELS, EventKind.SCHEDULE])
def test_decide_disabled_pipeline_is_not_concerned(event):
    assert decide(pipeline(status=PipelineStatus.DISABLED), event, record=RECORD) is None


def test_decide_request_needs_no_match_and_knows_no_loop():
    asked = Pipeline(id="p-9", revision=1, spec=pipeline(Condition()).spec)
    assert decide(asked, EventKind.REQUEST, record=RECORD) == (
        Decision.FIRED,
        "somebody asked for it",
    )


def test_decide_schedule_fires_when_its_time_comes():
    scheduled = pipeline(Schedule("0 6 * * *", "Europe/Berlin"))
    assert decide(scheduled, EventKind.FILE, record=RECORD) is None
    decision = decide(scheduled, EventKind.SCHEDULE)
    assert decision == (Decision.FIRED, "its time has come: 0 6 * * * (Europe/Berlin)")


def test_decide_schedule_does_not_concern_pipeline_on_files():
    assert decide(pipeline(), EventKind.SCHEDULE) is None


def test_decide_takes_facts_of_the_caller():
    decision = decide(pipeline(), EventKind.FILE, record=RECORD, facts={"category": ("IDS",)})
    assert decision == (Decision.NOT_MATCHED, "category is raw: the file's is IDS")

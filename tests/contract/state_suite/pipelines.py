"""Pipelines and the trigger ledger."""

from dataclasses import replace

import pytest

from stepline.errors import UserError
from stepline.model.ledger import Decision, EventKind, LedgerEntry
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
from stepline.model.workflow import RetryBehavior, RetryPolicy
from tests.contract.state_suite.values import read

SPEC = PipelineSpec(
    name="push",
    protocol="common/push:v1.0.0",
    trigger=Condition(
        Operator.OR,
        (
            Group(Operator.AND, (Clause("category", "is", "RAW"), Clause("tags", "exists"))),
            Group(Operator.OR, (Clause("filePath", "is one of", ("a", "b")),)),
        ),
    ),
    config={"a": 1, "b": {"secret": "key"}, "c": [None, "ü"]},
    steps_memory_mb={"one": 512},
    retry=RetryPolicy(RetryBehavior.LINEAR, base_delay_s=0.5, max_retries=9),
    timeout_s=60.5,
    priority=9,
    max_parallel=3,
    run_on_deleted=True,
    description="words",
    labels={"team": "x"},
)


def pipeline(number, **given):
    spec = replace(SPEC, name=f"push-{number}")
    return Pipeline(
        **{"id": f"p-{number}", "revision": 1, "spec": spec, "created_at": "t", **given}
    )


def put(state, *pipelines):
    for one in pipelines:
        state.write(lambda transaction, one=one: transaction.pipelines.put(one))


@pytest.mark.parametrize(
    "trigger",
    [SPEC.trigger, Condition(), Schedule("0 1 * * *", "Europe/Zurich")],
    ids=["condition", "empty", "schedule"],
)
def test_state_pipeline_comes_back_whole(state, trigger):
    whole = pipeline(1, spec=replace(SPEC, trigger=trigger), status=PipelineStatus.PAUSED)
    put(state, whole)
    with state.read() as view:
        assert view.pipelines.get("p-1") == view.pipelines.get("push") == whole
        assert view.pipelines.revision("p-1", 1) == whole
        assert view.pipelines.get("none") is view.pipelines.revision("p-1", 2) is None


def test_state_pipeline_new_revision_takes_the_place_of_the_old_one(state):
    first = pipeline(1)
    second = replace(first, revision=2, spec=replace(SPEC, name="renamed"), updated_at="u")
    put(state, first, pipeline(2), second)
    with state.read() as view:
        assert view.pipelines.get("p-1") == view.pipelines.get("renamed") == second
        assert view.pipelines.get("push-1") is None
        assert list(view.pipelines.revisions("p-1")) == [first, second]
        assert list(view.pipelines.all()) == [pipeline(2), second]


def test_state_pipeline_same_revision_again_changes_its_status(state):
    paused = replace(pipeline(1), status=PipelineStatus.PAUSED, updated_at="later")
    put(state, pipeline(1), paused)
    with state.read() as view:
        assert view.pipelines.get("p-1") == paused
        assert list(view.pipelines.revisions("p-1")) == [paused]


def test_state_pipeline_deleted_one_keeps_its_revisions(state):
    put(state, pipeline(1))
    state.write(lambda transaction: transaction.pipelines.delete("p-1"))
    with state.read() as view:
        assert view.pipelines.get("p-1") is view.pipelines.get("push-1") is None
        assert list(view.pipelines.all()) == []
        assert view.pipelines.revision("p-1", 1) == pipeline(1)


def test_state_pipeline_name_of_another_is_refused(state):
    put(state, pipeline(1))
    with pytest.raises(UserError, match="another pipeline 'push-1'"):
        put(state, replace(pipeline(2), spec=pipeline(1).spec))
    assert read(state, lambda view: view.pipelines.get("p-2")) is None


def entry(number, **given):
    fields = {"at": f"t-{number}", "event": EventKind.FILE, "pipeline_id": "p-1", "revision": 2}
    return LedgerEntry(
        **{**fields, "decision": Decision.FIRED, "reason": f"because {number}", **given}
    )


def test_state_ledger_gives_decisions_by_file_and_pipeline(state):
    entries = [
        entry(1, file_id="f-1", workflow_id="w-1"),
        entry(2, file_id="f-1", pipeline_id="p-2", decision=Decision.NOT_MATCHED),
        entry(3, file_id="f-2", event=EventKind.LABELS, reason="\ud800"),
    ]
    state.write(lambda transaction: transaction.ledger.add(entries))
    state.write(lambda transaction: transaction.ledger.add([]))
    with state.read() as view:
        of_file = view.ledger.of_file("f-1")
        assert [replace(one, id=0) for one in of_file] == entries[:2]
        assert of_file[0].id < of_file[1].id
        newest = view.ledger.of_pipeline("p-1")
        assert [one.at for one in newest] == ["t-3", "t-1"]
        assert newest[0].reason == "\\ud800"
        assert [one.at for one in view.ledger.of_pipeline("p-1", limit=1)] == ["t-3"]

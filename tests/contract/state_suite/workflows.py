"""Workflows and their attempts."""

from dataclasses import replace

import pytest

from stepline.errors import PlatformError
from stepline.model.workflow import WorkflowStatus
from stepline.ports.state import StoredAttempt
from tests.contract.state_suite.values import read, workflow

PENDING, RUNNING, FAILED = (
    WorkflowStatus.PENDING,
    WorkflowStatus.IN_PROGRESS,
    WorkflowStatus.FAILED,
)


def add(state, *workflows):
    return state.write(lambda transaction: [transaction.workflows.add(one) for one in workflows])


def numbers(workflows):
    return [int(one.id.removeprefix("w-")) for one in workflows]


def test_state_workflow_comes_back_whole(state):
    assert add(state, workflow(1), workflow(2)) == [True, True]
    with state.read() as view:
        found = view.workflows.get("w-1")
        assert found == view.workflows.by_dedupe_key("key-1") == workflow(1, number=found.number)
        assert 0 < found.number < view.workflows.get("w-2").number
        assert view.workflows.get("w-9") is view.workflows.by_dedupe_key("w-1") is None


def test_state_workflow_with_a_dedupe_key_that_is_there_is_not_added(state):
    add(state, workflow(1))
    assert add(state, workflow(2, dedupe_key="key-1"), workflow(3)) == [False, True]
    assert read(state, lambda view: view.workflows.get("w-2")) is None


def test_state_workflow_update_keeps_what_is_pinned(state):
    add(state, workflow(1))
    changed = {"status": RUNNING, "waiting": True, "updated_at": "u", "state": {"x": [1.5, None]}}
    state.write(lambda transaction: transaction.workflows.update(workflow(1, **changed)))
    found = read(state, lambda view: view.workflows.get("w-1"))
    assert found == workflow(1, **changed, number=found.number)


def test_state_workflow_update_of_none_is_refused(state):
    with pytest.raises(PlatformError, match="no workflow 'w-1'"):
        state.write(lambda transaction: transaction.workflows.update(workflow(1)))


@pytest.fixture
def many(state):
    """A state with workflows 1 to 12 of two pipelines and three statuses."""
    statuses = [PENDING, RUNNING, FAILED]
    add(
        state,
        *(
            workflow(number, pipeline_id=f"p-{number % 2}", status=statuses[number % 3])
            for number in range(1, 13)
        ),
    )
    return state


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, range(1, 13)),
        ({"pipeline_id": "p-1"}, range(1, 13, 2)),
        ({"statuses": [FAILED]}, [2, 5, 8, 11]),
        ({"statuses": [FAILED, PENDING, FAILED]}, [2, 3, 5, 6, 8, 9, 11, 12]),
        ({"statuses": [RUNNING, FAILED], "pipeline_id": "p-0"}, [2, 4, 8, 10]),
        ({"since": "2030-01-01T00:00:10Z"}, [10, 11, 12]),
        ({"until": "2030-01-01T00:00:03Z", "statuses": [RUNNING]}, [1]),
        ({"pipeline_id": "none"}, []),
    ],
    ids=["all", "pipeline", "status", "statuses", "both", "since", "until", "none"],
)
def test_state_workflow_pages_give_all_newest_first(many, given, found):
    seen, before, parts = [], 0, 0
    while parts == 0 or before:
        page = read(many, lambda view, at=before: view.workflows.page(**given, before=at, limit=3))
        assert page.total == len(found)
        assert all(one.state == {} for one in page.items)
        seen, before, parts = [*seen, *numbers(page.items)], page.after, parts + 1
    assert seen == sorted(found, reverse=True)
    assert parts == max(1, -(-len(found) // 3))


def test_state_workflow_in_progress_counts_those_of_the_pipeline(many):
    assert read(many, lambda view: view.workflows.in_progress("p-1")) == 2
    assert read(many, lambda view: view.workflows.in_progress("none")) == 0


def test_state_workflow_next_waiting_is_by_priority_then_age(state):
    waiting = [workflow(n, waiting=True, priority=p) for n, p in ((1, 1), (2, 9), (3, 9), (4, 5))]
    add(state, *waiting, workflow(5), workflow(6, waiting=True, pipeline_id="p-2", priority=10))
    with state.read() as view:
        assert numbers(view.workflows.next_waiting("p-1", limit=9)) == [2, 3, 4, 1]
        [first] = view.workflows.next_waiting("p-1", limit=1)
        assert first.state == workflow(2).state


def test_state_workflow_newest_by_file_leaves_older_ones_and_those_by_time_out(state):
    add(
        state,
        workflow(1, input_file_id="f", status=FAILED),
        workflow(2, input_file_id="f", status=RUNNING),
        workflow(3, input_file_id="g"),
        workflow(4, input_file_id=""),
        workflow(5, input_file_id="f", pipeline_id="p-2"),
    )
    found = read(state, lambda view: view.workflows.newest_by_file("p-1"))
    assert found == {"f": ("w-2", RUNNING), "g": ("w-3", PENDING)}


def attempt(number, **given):
    record = {"message": "ü\ud800", "reads": [1], "at": 1.5}
    fields = {"workflow_id": "w-1", "step": 0, "attempt": number, "kind": "success"}
    return StoredAttempt(**{**fields, "record": record, "finished_at": "t", **given})


def test_state_attempts_come_by_step_and_number(state):
    given = [attempt(2), attempt(1, step=1), attempt(10), attempt(1, workflow_id="w-2"), attempt(1)]
    for one in given:
        state.write(lambda transaction, one=one: transaction.workflows.add_attempt(one))
    found = read(state, lambda view: view.workflows.attempts("w-1"))
    assert list(found) == [attempt(1), attempt(2), attempt(10), attempt(1, step=1)]


def test_state_attempt_that_is_stored_again_is_replaced(state):
    for one in (attempt(1), replace(attempt(1), kind="failed")):
        state.write(lambda transaction, one=one: transaction.workflows.add_attempt(one))
    [found] = read(state, lambda view: view.workflows.attempts("w-1"))
    assert found.kind == "failed"

"""A service whose machine's clock is set: nothing is done twice, and nothing stands still."""

import time

import pytest

from stepline.app.service import dispatcher
from stepline.model.ledger import Decision
from stepline.model.pipeline import Schedule
from stepline.model.workflow import RetryBehavior, RetryPolicy, WorkflowStatus
from tests.support.services import RunningService, wait_for

HOUR_S = 3600.0
FAIL = "def work(input, context):\n    raise ValueError('no good')\n"
WAITING = """
import pathlib, time
def work(input, context):
    gate = pathlib.Path({gate!r})
    with open({gate!r} + "-runs", "a") as runs:
        runs.write("x")
    for _ in range(1200):
        if gate.exists():
            return "done"
        time.sleep(0.05)
"""
TICK = """\
protocolSchema: v3
name: tick
constraints: {trigger: {type: scheduled}}
steps:
  - id: work
    task: {namespace: private-demo, slug: tick, version: v1.0.0, function: work}
"""
RETRY = RetryPolicy(behavior=RetryBehavior.CONSTANT, base_delay_s=0.5, max_retries=2)


class Clock:
    """The machine's clock, which may be set; while ``at`` is set it stands."""

    def __init__(self):
        self.offset, self.at = 0.0, None

    def __call__(self):
        return time.time() + self.offset if self.at is None else self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def start(tmp_path, stepline_cache, clock):
    """Start services over one home, one after another."""
    started = []

    def begin():
        started.append(RunningService(tmp_path / "home", cache=stepline_cache, clock=clock))
        return started[-1]

    yield begin
    for service in started:
        service.stop()


def kinds(running):
    (workflow,) = running.workflows()
    return [each.kind for each in running.service.workflows.details(workflow.id).attempts]


@pytest.mark.parametrize("offset", [-HOUR_S, -365 * 24 * HOUR_S], ids=["hour", "year"])
def test_retry_comes_in_time_although_the_clock_is_set_back(start, clock, offset):
    running = start()
    running.simple("fail", FAIL, retry=RETRY)
    running.upload()
    wait_for(lambda: kinds(running))
    clock.offset = offset
    (workflow,) = running.ended(1, within_s=10.0)
    assert workflow.status is WorkflowStatus.FAILED
    assert kinds(running) == ["raised"] * 3


def test_retry_waits_an_hour_at_most_when_the_clock_went_back_in_between(start, clock):
    first = start()
    first.simple("fail", FAIL, retry=RetryPolicy(behavior=RetryBehavior.CONSTANT))
    clock.offset = 365 * 24 * HOUR_S
    first.upload()
    wait_for(lambda: kinds(first))
    first.stop()
    clock.offset = 0.0
    second = start()
    assert len(kinds(second)) < 4
    clock.offset = HOUR_S
    second.service._dispatcher.wake()
    wait_for(lambda: len(kinds(second)) == 4, within_s=20.0)


def test_lease_of_a_running_task_lasts_whatever_the_clock_does(start, clock, tmp_path, monkeypatch):
    monkeypatch.setattr(dispatcher, "BEAT_S", 0.1)
    monkeypatch.setattr(dispatcher, "LEASE_S", 0.5)
    gate = tmp_path / "gate"
    running = start()
    running.simple("waiting", WAITING.format(gate=str(gate)))
    running.upload()
    runs = tmp_path / "gate-runs"
    wait_for(runs.exists)
    for offset in (-HOUR_S, HOUR_S, -2 * HOUR_S, 48 * HOUR_S):
        clock.offset = offset
        time.sleep(0.4)
    gate.touch()
    (workflow,) = running.ended(1)
    assert workflow.status is WorkflowStatus.COMPLETED
    (attempt,) = running.service.workflows.details(workflow.id).attempts
    assert (attempt.attempt, runs.read_text()) == (1, "x")


def test_schedule_neither_doubles_nor_stands_still_when_the_clock_is_set_back(start, clock):
    noon = 1_800_000_000.0 // HOUR_S * HOUR_S
    clock.at = noon - 30.0
    running = start()
    running.put_script("tick", "def work(input, context):\n    return 1\n", ["work"])
    running.put_protocol("tick", TICK)
    pipeline = running.pipeline("tick", trigger=Schedule("* * * * *"))

    def decisions_at(at, *, count):
        clock.at = at
        running.service._scheduler.wake()
        wait_for(lambda: running.service._scheduler._since == at)
        wait_for(lambda: len(running.service.pipelines.explain(pipeline.id)) == count)
        return [each.decision for each in running.service.pipelines.explain(pipeline.id)][::-1]

    assert decisions_at(noon + 1, count=1) == [Decision.FIRED]
    # An hour back: the times of that hour were not due before, and are now.
    decisions_at(noon - HOUR_S + 30, count=1)
    assert decisions_at(noon - HOUR_S + 61, count=2) == [Decision.FIRED] * 2
    decisions_at(noon - 30, count=3)
    # The same minute again.
    assert decisions_at(noon + 1, count=4)[-1] is Decision.DUPLICATE
    assert len(running.ended(3)) == 3

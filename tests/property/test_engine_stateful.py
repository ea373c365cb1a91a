"""Events that come twice, late, lost and in any order leave one and the same end."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stepline.engine import advance, outstanding
from stepline.engine.events import (
    AttemptFinished,
    CancelRequested,
    Command,
    Event,
    FinishWorkflow,
    RetryDue,
    RetryRequested,
    ScheduleRetry,
    StartTask,
    WorkflowStarted,
)
from stepline.engine.retry import MAX_LOST_ATTEMPTS
from stepline.model.task import OutcomeKind, TaskOutcome
from stepline.model.workflow import StepStatus, Workflow, WorkflowStatus
from tests.property.engine_reference import (
    Plan,
    outcome,
    plans,
    reference,
    verdict_of,
    without_memory,
    workflow_of,
)

FINAL = {StepStatus.SUCCESS, StepStatus.FAILED, StepStatus.SKIPPED}
ACTIVE = {StepStatus.RUNNING, StepStatus.WAITING}
LOST = TaskOutcome(OutcomeKind.LOST, message="the worker went away")
MAX_DELIVERIES = 500
MAX_ROUNDS = 4

indexes = st.integers(0, 1_000)


class World:
    """Runs what the engine asks for; every answer goes into the mail, to come whenever."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.workflow = workflow_of(plan)
        self.mail: list[Event] = [WorkflowStarted()]
        self.delivered: list[Event] = []
        self.commands: list[Command] = []
        self.losses = [0] * len(plan.steps)

    def deliver(self, index: int) -> None:
        """Deliver one event out of the mail and carry out what the engine asks for."""
        event = self.mail.pop(index % len(self.mail))
        self.delivered.append(event)
        self.workflow, commands = advance(self.workflow, event)
        for command in commands:
            self.commands.append(command)
            self.mail += self.answers(command)

    def lose(self) -> None:
        """Let the running attempt's worker be given up; its result may still come, now or late."""
        for command in outstanding(self.workflow):
            if isinstance(command, StartTask) and self.losses[command.step] < MAX_LOST_ATTEMPTS:
                self.losses[command.step] += 1
                self.mail.append(AttemptFinished(command.step, command.attempt, LOST, at=0.0))

    def answers(self, command: Command) -> list[Event]:
        if isinstance(command, StartTask):
            outcomes = self.workflow.steps[command.step].outcomes
            nth = sum(one.kind is not OutcomeKind.LOST for one in outcomes)
            result = outcome(self.plan, command.step, nth)
            return [AttemptFinished(command.step, command.attempt, result, at=0.0)]
        if isinstance(command, ScheduleRetry):
            return [RetryDue(command.step, command.attempt)]
        return []

    def out_of_turn(self) -> Iterator[Event]:
        """Yield results and retries of every step but those that are waited for."""
        awaited = {(type(one), one.step, one.attempt) for one in outstanding(self.workflow)}
        for step in range(-2, len(self.plan.steps) + 1):
            for attempt in range(6):
                if (StartTask, step, attempt) not in awaited:
                    yield AttemptFinished(step, attempt, LOST, at=0.0)
                if (ScheduleRetry, step, attempt) not in awaited:
                    yield RetryDue(step, attempt)

    def drain(self, order: random.Random, *, loss: float = 0.0) -> None:
        """Deliver all that is left, each event also a second time.

        Args:
            order: Decides which event comes next.
            loss: Chance, before each delivery, that the running attempt is given up.
        """
        for _ in range(MAX_DELIVERIES):
            if not self.mail:
                return
            if order.random() < loss:
                self.lose()
            self.deliver(order.randrange(1_000))
            if not isinstance(self.delivered[-1], RetryRequested):
                assert advance(self.workflow, self.delivered[-1]) == (self.workflow, ())
        raise AssertionError("the workflow does not come to its end")


class EngineMachine(RuleBasedStateMachine):
    world: World
    rounds: int

    @initialize(plan=plans())
    def create(self, plan: Plan) -> None:
        self.world = World(plan)
        self.rounds = 1

    @property
    def workflow(self) -> Workflow:
        return self.world.workflow

    @rule(index=indexes)
    def deliver_any(self, index: int) -> None:
        if self.world.mail:
            self.world.deliver(index)

    @rule(index=indexes)
    def deliver_again(self, index: int) -> None:
        if self.world.delivered:
            event = self.world.delivered[index % len(self.world.delivered)]
            # A person's request is a new one each time; only results come by themselves.
            if not isinstance(event, (CancelRequested, RetryRequested)):
                self.ignores(event)

    @rule()
    def lose_worker(self) -> None:
        self.world.lose()

    @precondition(lambda self: len(self.world.commands) > 3)
    @rule(often=st.integers(0, 9))
    def cancel(self, often: int) -> None:
        if often == 0:
            self.world.mail.append(CancelRequested("stop"))

    @precondition(lambda self: self.workflow.finished and self.rounds < MAX_ROUNDS)
    @rule()
    def request_retry(self) -> None:
        """The same results come again, so the end must be the same again."""
        if self.workflow.status is not WorkflowStatus.COMPLETED:
            self.rounds += 1
        self.world.mail.append(RetryRequested())
        self.world.deliver(len(self.world.mail) - 1)

    @invariant()
    def one_step_at_a_time(self) -> None:
        kinds = [state.status for state in self.workflow.steps]
        done = sum(status in FINAL for status in kinds)
        assert all(status in FINAL for status in kinds[:done])
        if self.workflow.status is WorkflowStatus.IN_PROGRESS:
            assert kinds[done] in ACTIVE
            assert all(status is StepStatus.PENDING for status in kinds[done + 1 :])
        elif self.workflow.finished:
            assert done == len(kinds)

    @invariant()
    def each_command_is_given_once(self) -> None:
        finishes = [c for c in self.world.commands if isinstance(c, FinishWorkflow)]
        given = [self.named(c) for c in self.world.commands if not isinstance(c, FinishWorkflow)]
        assert len(set(given)) == len(given)
        assert len(finishes) == self.rounds - (0 if self.workflow.finished else 1)
        if self.workflow.finished:
            assert self.world.commands[-1] == finishes[-1]

    @invariant()
    def events_out_of_turn_change_nothing(self) -> None:
        for event in self.world.out_of_turn():
            self.ignores(event)

    @invariant()
    def newest_command_is_outstanding(self) -> None:
        if self.workflow.status is WorkflowStatus.IN_PROGRESS:
            assert outstanding(self.workflow) == (self.world.commands[-1],)
        else:
            assert outstanding(self.workflow) == ()

    def ignores(self, event: Event) -> None:
        assert advance(self.workflow, event) == (self.workflow, ())

    @staticmethod
    def named(command: Any) -> tuple[type, int, int]:
        return type(command), command.step, command.attempt

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.drain(random.Random(0))
        assert self.workflow.finished
        expected = reference(self.world.plan)
        if self.workflow.status is not WorkflowStatus.CANCELLED:
            assert verdict_of(self.workflow) == without_memory(expected)
            assert memory_of(self.world) == [one.memory for one in expected.steps]
            return
        both = zip(verdict_of(self.workflow).steps, without_memory(expected).steps, strict=True)
        assert all(mine == theirs for mine, theirs in both if mine.status == "success")


def memory_of(world: World) -> list[tuple[int, ...]]:
    """The memory of each step's attempts that were not lost, in the last round."""
    found = []
    for index, state in enumerate(world.workflow.steps):
        starts = [one for one in world.commands if isinstance(one, StartTask)]
        asked = [one.memory_mb for one in starts if one.step == index]
        newest = asked[len(asked) - len(state.outcomes) :]
        both = zip(newest, state.outcomes, strict=True)
        found.append(tuple(mb for mb, one in both if one.kind is not OutcomeKind.LOST))
    return found


def test_engine_any_order_of_events_ends_as_reference() -> None:
    run_state_machine_as_test(
        EngineMachine,
        settings=settings(max_examples=200, stateful_step_count=40, deadline=None),
    )


seeds = st.integers(0, 2**32)


@settings(max_examples=200, deadline=None)
@given(plan=plans(), one=seeds, other=seeds)
def test_engine_two_deliveries_end_in_equal_workflows(plan: Plan, one: int, other: int) -> None:
    ends = []
    for seed in (one, other):
        world = World(plan)
        world.drain(random.Random(seed))
        ends.append(world.workflow)
    assert ends[0] == ends[1]


@settings(max_examples=400, deadline=None)
@given(plan=plans(), seed=seeds)
def test_engine_lost_attempts_end_as_reference(plan: Plan, seed: int) -> None:
    world = World(plan)
    world.drain(random.Random(seed), loss=0.3)
    expected = reference(plan)
    assert verdict_of(world.workflow) == without_memory(expected)
    assert memory_of(world) == [one.memory for one in expected.steps]

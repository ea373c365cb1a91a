"""Control flow, one table per rule."""

from __future__ import annotations

from typing import Any

import pytest

from stepline.engine import advance, create_workflow, outstanding
from stepline.engine.events import (
    AttemptFinished,
    CancelRequested,
    Event,
    FinishWorkflow,
    RetryDue,
    RetryRequested,
    ScheduleRetry,
    StartTask,
    StopTask,
    WorkflowStarted,
)
from stepline.model.protocol import ConfigItem, ConfigType, Protocol
from stepline.model.task import OutcomeKind, TaskOutcome
from stepline.model.workflow import (
    RetryBehavior,
    RetryPolicy,
    StepDefaults,
    StepStatus,
    Workflow,
    WorkflowStatus,
)
from tests.unit.engine.plays import (
    NOW,
    bad,
    ended,
    make_protocol,
    make_workflow,
    ok,
    play,
    statuses,
)

DONE, FAILED = WorkflowStatus.COMPLETED, WorkflowStatus.FAILED
ON = {"continue_on_error": True}
CONSTANT = RetryPolicy(RetryBehavior.CONSTANT, base_delay_s=5, max_retries=2)


def _if(condition: Any) -> dict[str, Any]:
    return {"condition": condition}


def _continue(condition: Any) -> dict[str, Any]:
    return {"continue_on_error": condition}


def _input(value: Any) -> dict[str, Any]:
    return {"input": value}


# id, protocol, outcomes of the attempts, statuses of the steps, then of the workflow.
FLOW = [
    ("one-step", make_protocol({}), [ok()], "s", DONE),
    ("in-order", make_protocol({}, {}, {}), [ok()] * 3, "sss", DONE),
    ("if-false-skips", make_protocol(_if(False), {}), [ok()], "ks", DONE),
    ("all-skipped", make_protocol(_if(False), _if("$( false )")), [], "kk", DONE),
    ("if-expression", make_protocol({}, _if("$( steps.a.isFailed )"), {}), [ok()] * 2, "sks", DONE),
    (
        "if-of-skipped-step",
        make_protocol(_if(False), _if("$( steps.a.isSkipped )")),
        [ok()],
        "ks",
        DONE,
    ),
    ("failure-stops", make_protocol({}, {}, {}), [ok(), bad()], "sfk", FAILED),
    ("failure-at-the-end", make_protocol({}, {}), [ok(), bad()], "sf", FAILED),
    ("later-if-is-not-asked", make_protocol({}, _if(True)), [bad()], "fk", FAILED),
    ("continue", make_protocol(ON, {}), [bad(), ok()], "fs", DONE),
    ("continue-at-the-end", make_protocol({}, ON), [ok(), bad()], "sf", DONE),
    ("continue-false", make_protocol(_continue("$( false )"), {}), [bad()], "fk", FAILED),
    (
        "continue-reads-own-error",
        make_protocol(_continue("$( isString(steps.a.error) )"), {}),
        [bad(), ok()],
        "fs",
        DONE,
    ),
    (
        "continue-reads-own-state",
        make_protocol(_continue("$( not(steps.a.isFailed) )"), {}),
        [bad()],
        "fk",
        FAILED,
    ),
    (
        "continue-reads-earlier-output",
        make_protocol({}, _continue("$( steps.a.output.go )"), {}),
        [ok({"go": True}), bad(), ok()],
        "sfs",
        DONE,
    ),
    (
        "branch-on-failure",
        make_protocol(ON, _if("$( steps.a.isFailed )"), _if("$( steps.a.isSuccess )")),
        [bad(), ok()],
        "fsk",
        DONE,
    ),
]


def _rows(table: list[Any]) -> list[Any]:
    return [pytest.param(*row[1:], id=row[0]) for row in table]


@pytest.mark.parametrize(("protocol", "outcomes", "steps", "status"), _rows(FLOW))
def test_advance_control_flow_ends_as_specified(
    protocol: Protocol, outcomes: list[TaskOutcome], steps: str, status: WorkflowStatus
) -> None:
    workflow, commands = play(make_workflow(protocol), outcomes)
    assert (statuses(workflow), workflow.status) == (steps, status)
    assert sum(isinstance(command, StartTask) for command in commands) == len(outcomes)
    assert commands[-1] == FinishWorkflow(status, workflow.output, workflow.error)


@pytest.mark.parametrize("truth", [True, 1, "x", "false", [], {}, [0]], ids=repr)
def test_advance_if_true_value_runs_step(truth: Any) -> None:
    protocol = make_protocol({}, _if("$( steps.a.output.flag )"))
    workflow, _ = play(make_workflow(protocol), [ok({"flag": truth}), ok()])
    assert statuses(workflow) == "ss"


@pytest.mark.parametrize("untruth", [False, 0, 0.0, "", None], ids=repr)
def test_advance_if_false_value_skips_step(untruth: Any) -> None:
    protocol = make_protocol({}, _if("$( steps.a.output.flag )"))
    workflow, _ = play(make_workflow(protocol), [ok({"flag": untruth})])
    assert statuses(workflow) == "sk"


WHEN_A = {"success_when": "$( steps.a.isSuccess )"}
TOLD = {
    "on_failed": {"why": "$( steps.a.error )", "b": ["$( steps.b.status )"]},
    "has_on_failed": True,
}
NULL = {"on_failed": None, "has_on_failed": True}

# id, protocol, outcomes, status of the workflow, its error.
VERDICT = [
    ("no-rule-success", make_protocol({}), [ok()], DONE, None),
    ("no-rule-failure", make_protocol({}), [bad("no")], FAILED, "no"),
    ("no-rule-continued", make_protocol(ON, {}), [bad(), ok()], DONE, None),
    ("failed-step-redeemed", make_protocol({}, {}, **WHEN_A), [ok(), bad()], DONE, None),
    ("true-but-constant", make_protocol({}, success_when=True), [bad()], DONE, None),
    ("false-after-success", make_protocol({}, success_when=False), [ok()], FAILED, None),
    ("false-after-failure", make_protocol({}, **WHEN_A), [bad("no")], FAILED, None),
    ("false-after-continue", make_protocol(ON, {}, **WHEN_A), [bad(), ok()], FAILED, None),
    (
        "reads-steps-skipped-by-the-end",
        make_protocol({}, {}, success_when="$( steps.b.isSkipped )"),
        [bad()],
        DONE,
        None,
    ),
    (
        "on-failed",
        make_protocol({}, {}, **TOLD),
        [bad("no")],
        FAILED,
        {"why": "no", "b": ["skipped"]},
    ),
    (
        "on-failed-after-rule",
        make_protocol({}, {}, **WHEN_A, **TOLD),
        [bad("no")],
        FAILED,
        {"why": "no", "b": ["skipped"]},
    ),
    ("on-failed-null", make_protocol({}, **NULL), [bad("no")], FAILED, None),
    ("on-failed-unused", make_protocol({}, {}, **TOLD), [ok(), ok()], DONE, None),
    ("no-steps", make_protocol(), [], DONE, None),
    ("no-steps-but-rule", make_protocol(success_when=False), [], FAILED, None),
]


@pytest.mark.parametrize(("protocol", "outcomes", "status", "error"), _rows(VERDICT))
def test_advance_verdict_is_as_specified(
    protocol: Protocol, outcomes: list[TaskOutcome], status: WorkflowStatus, error: Any
) -> None:
    workflow, commands = play(make_workflow(protocol), outcomes)
    assert (workflow.status, workflow.error) == (status, error)
    assert isinstance(commands[-1], FinishWorkflow)


# id, protocol, outcomes, output of the workflow.
OUTPUT = [
    ("last-step", make_protocol({}, {}), [ok({"n": 1}), ok({"n": 2})], {"n": 2}),
    ("last-that-ran", make_protocol({}, _if(False)), [ok({"n": 1})], {"n": 1}),
    ("last-failed", make_protocol({}, ON), [ok({"n": 1}), bad()], None),
    ("redeemed", make_protocol({}, {}, success_when=True), [ok({"n": 1}), bad()], None),
    ("none-ran", make_protocol(_if(False)), [], None),
    ("no-steps", make_protocol(), [], None),
    ("failed", make_protocol({}, success_when=False), [ok({"n": 1})], None),
]


@pytest.mark.parametrize(("protocol", "outcomes", "output"), _rows(OUTPUT))
def test_advance_output_is_that_of_last_run_step(
    protocol: Protocol, outcomes: list[TaskOutcome], output: Any
) -> None:
    workflow, _ = play(make_workflow(protocol), outcomes)
    assert workflow.output == output


@pytest.mark.parametrize(
    ("step", "value"),
    [
        pytest.param({}, None, id="omitted"),
        pytest.param(_input({"x": [1, "$( steps.a.output )"]}), {"x": [1, {"n": 1}]}, id="nested"),
        pytest.param(_input("$( steps.a.output.n )"), 1, id="keeps-its-type"),
        pytest.param(
            _input("pre $( steps.a.output.n )"), "pre $( steps.a.output.n )", id="literal"
        ),
        pytest.param(_input("$( steps.a.output.n.deep.er )"), None, id="missing-is-null"),
        pytest.param(_input("$( workflow.inputFile.fileId )"), "f-1", id="input-file"),
        pytest.param(_input("$( config.key )"), {"ssm": "/e/o/s", "secret": True}, id="secret"),
    ],
)
def test_advance_input_is_evaluated_at_start(step: dict[str, Any], value: Any) -> None:
    item = ConfigItem("key", "Key", ConfigType.SECRET)
    workflow = make_workflow(
        make_protocol({}, step, config={"key": item}),
        input_file={"type": "s3file", "fileId": "f-1"},
        config={"key": {"ssm": "/e/o/s", "secret": True}},
    )
    _, commands = play(workflow, [ok({"n": 1})])
    assert commands[-1] == StartTask(
        step=1, attempt=1, input=value, memory_mb=512, timeout_s=3600.0
    )


BROKEN = "$( a b )"
FAULTS = [
    ("if", make_protocol({}, _if(BROKEN)), [ok()], "sk", "steps.b.if cannot be evaluated: "),
    ("input", make_protocol({}, _input([BROKEN])), [ok()], "sk", "steps.b.input cannot be "),
    ("no-id", make_protocol({"id": None, "input": BROKEN}), [], "k", "steps[0].input cannot be "),
    ("continue", make_protocol(_continue(BROKEN), {}), [bad()], "fk", "steps.a.continueOnError "),
    ("success-when", make_protocol({}, success_when=BROKEN), [ok()], "s", "successWhen cannot be "),
    (
        "on-failed",
        make_protocol({}, on_failed=BROKEN, has_on_failed=True),
        [bad()],
        "f",
        "onFailed cannot be evaluated: ",
    ),
    (
        "constants",
        make_protocol({}, constants={"x": "$( constants.x )"}),
        [],
        "k",
        "constants cannot be evaluated: ",
    ),
]


@pytest.mark.parametrize(("protocol", "outcomes", "steps", "error"), _rows(FAULTS))
def test_advance_broken_expression_fails_workflow(
    protocol: Protocol, outcomes: list[TaskOutcome], steps: str, error: str
) -> None:
    workflow, commands = play(make_workflow(protocol), outcomes)
    assert (statuses(workflow), workflow.status) == (steps, FAILED)
    assert isinstance(workflow.error, str)
    assert workflow.error.startswith(error)
    assert isinstance(commands[-1], FinishWorkflow)


def test_advance_fault_is_not_redeemed_by_success_when() -> None:
    protocol = make_protocol(_if(BROKEN), success_when=True, on_failed="told", has_on_failed=True)
    workflow, _ = play(make_workflow(protocol))
    assert workflow.status is FAILED
    assert "steps.a.if" in str(workflow.error)


def _running() -> Workflow:
    """Step a failed once and is at its second attempt; b is to come."""
    workflow, _ = play(make_workflow(make_protocol({}, {}), retry=CONSTANT), [bad()])
    return workflow


def _waiting() -> Workflow:
    workflow, _ = advance(make_workflow(make_protocol({}, {}), retry=CONSTANT), WorkflowStarted())
    workflow, _ = advance(workflow, AttemptFinished(0, 1, bad(), at=NOW))
    return workflow


def _at_second_step() -> Workflow:
    workflow, _ = play(make_workflow(make_protocol({}, {})), [ok({"n": 1})])
    return workflow


def _finished() -> Workflow:
    workflow, _ = play(make_workflow(make_protocol({})), [ok({"n": 1})])
    return workflow


def _result(step: int, attempt: int) -> AttemptFinished:
    return AttemptFinished(step, attempt, ok({"late": True}), at=NOW)


IGNORED = [
    ("started-again", _running(), WorkflowStarted()),
    ("stale-attempt", _running(), _result(0, 1)),
    ("attempt-to-come", _running(), _result(0, 3)),
    ("attempt-zero", _running(), _result(0, 0)),
    ("step-to-come", _running(), _result(1, 1)),
    ("no-such-step", _running(), _result(2, 2)),
    ("negative-step", _running(), _result(-2, 2)),
    ("retry-while-running", _running(), RetryDue(0, 2)),
    ("result-while-waiting", _waiting(), _result(0, 1)),
    ("result-of-attempt-waited-for", _waiting(), _result(0, 2)),
    ("retry-of-another-attempt", _waiting(), RetryDue(0, 1)),
    ("retry-of-another-step", _waiting(), RetryDue(1, 2)),
    ("retry-of-no-step", _waiting(), RetryDue(-2, 2)),
    ("duplicate-result", _at_second_step(), _result(0, 1)),
    ("result-before-start", make_workflow(make_protocol({})), _result(0, 1)),
    ("retry-before-start", make_workflow(make_protocol({})), RetryDue(0, 1)),
    ("result-after-end", _finished(), _result(0, 1)),
    ("cancel-after-end", _finished(), CancelRequested("late")),
    ("start-after-end", _finished(), WorkflowStarted()),
    ("retry-requested-after-success", _finished(), RetryRequested()),
    ("retry-requested-before-end", _running(), RetryRequested()),
    ("retry-requested-before-start", make_workflow(make_protocol({})), RetryRequested()),
]


@pytest.mark.parametrize(("workflow", "event"), _rows(IGNORED))
def test_advance_event_out_of_turn_changes_nothing(workflow: Workflow, event: Event) -> None:
    assert advance(workflow, event) == (workflow, ())


def test_advance_events_leave_given_workflow_unchanged() -> None:
    before = make_workflow(make_protocol({}))
    advance(before, WorkflowStarted())
    assert before == make_workflow(make_protocol({}))


def test_advance_failure_waits_then_starts_next_attempt() -> None:
    workflow = _waiting()
    state = workflow.steps[0]
    assert (state.status, state.retry_at, state.attempt) == (StepStatus.WAITING, NOW + 5, 1)
    assert outstanding(workflow) == (ScheduleRetry(step=0, attempt=2, at=NOW + 5),)
    workflow, commands = advance(workflow, RetryDue(0, 2))
    assert commands == (StartTask(step=0, attempt=2, input=None, memory_mb=512, timeout_s=3600.0),)
    assert workflow.steps[0].retry_at is None


def test_advance_retries_used_up_fails_with_last_error() -> None:
    workflow = make_workflow(make_protocol({}), retry=CONSTANT)
    workflow, _ = play(workflow, [bad("1"), bad("2"), bad("3")])
    assert (workflow.status, workflow.error) == (FAILED, "3")
    assert [outcome.message for outcome in workflow.steps[0].outcomes] == ["1", "2", "3"]


def test_advance_retry_success_hides_earlier_error() -> None:
    workflow = make_workflow(make_protocol({}, _input("$( steps.a.error )")), retry=CONSTANT)
    workflow, commands = play(workflow, [bad(), ok({"n": 1}), ok()])
    assert (workflow.status, statuses(workflow)) == (DONE, "ss")
    starts = [command for command in commands if isinstance(command, StartTask)]
    assert [(start.step, start.attempt, start.input) for start in starts] == [
        (0, 1, None),
        (0, 2, None),
        (1, 1, None),
    ]


def test_advance_out_of_memory_doubles_memory_for_later_attempts_only() -> None:
    workflow = make_workflow(
        make_protocol({}, {}),
        retry=RetryPolicy(RetryBehavior.LINEAR, max_retries=9),
        step_defaults=[StepDefaults(memory_mb=3000), StepDefaults()],
    )
    oom = ended(OutcomeKind.OUT_OF_MEMORY)
    _, commands = play(workflow, [oom, bad(), oom, oom, ok()])
    starts = [command for command in commands if isinstance(command, StartTask)]
    assert [start.memory_mb for start in starts] == [3000, 6000, 6000, 8192, 8192, 512]


CANCELLED_ERROR = {"message": {"text": "Invalid exit code 137", "oomError": False}}


def test_advance_cancel_of_running_step_stops_it() -> None:
    workflow, commands = advance(_running(), CancelRequested("by Kim"))
    finish = FinishWorkflow(WorkflowStatus.CANCELLED, output=None, error="by Kim")
    assert commands == (StopTask(step=0, attempt=2), finish)
    assert statuses(workflow) == "fk"
    assert workflow.steps[0].error == CANCELLED_ERROR
    assert workflow.steps[0].outcomes[-1].kind is OutcomeKind.CANCELLED


def test_advance_cancel_of_waiting_step_keeps_its_error() -> None:
    workflow, commands = advance(_waiting(), CancelRequested())
    assert [type(command) for command in commands] == [FinishWorkflow]
    assert (statuses(workflow), workflow.steps[0].error) == ("fk", "boom")
    assert workflow.steps[0].retry_at is None
    assert workflow.error == "The workflow was cancelled"


def test_advance_cancel_keeps_finished_steps_and_asks_no_rule() -> None:
    protocol = make_protocol({}, {}, success_when=True, on_failed="told", has_on_failed=True)
    workflow, _ = play(make_workflow(protocol), [ok({"n": 1})])
    workflow, _ = advance(workflow, CancelRequested("stop"))
    assert (workflow.status, workflow.error) == (WorkflowStatus.CANCELLED, "stop")
    assert (statuses(workflow), workflow.steps[0].output) == ("sf", {"n": 1})


def test_advance_cancel_before_start_skips_all() -> None:
    workflow, _ = advance(make_workflow(make_protocol({}, {})), CancelRequested())
    assert (workflow.status, statuses(workflow)) == (WorkflowStatus.CANCELLED, "kk")
    assert advance(workflow, WorkflowStarted()) == (workflow, ())


def test_advance_cancelled_task_fails_its_step_without_retry() -> None:
    workflow = make_workflow(make_protocol(ON, _input("$( steps.a.error )")), retry=CONSTANT)
    workflow, commands = play(workflow, [ended(OutcomeKind.CANCELLED)])
    assert statuses(workflow) == "fr"
    assert isinstance(commands[-1], StartTask)
    assert commands[-1].input == CANCELLED_ERROR


# id, protocol, outcomes until the failure, its statuses, then those once retried.
REQUESTED = [
    ("failed-step", make_protocol({}, {}, {}), [ok(), bad()], "sfk", "srp"),
    ("last-failed-step", make_protocol(ON, {}, {}), [bad(), ok(), bad()], "fsf", "fsr"),
    (
        "steps-after-it",
        make_protocol({}, ON, {}, success_when=False),
        [ok(), bad(), ok()],
        "sfs",
        "srp",
    ),
    ("no-failed-step", make_protocol(_if(False), {}, success_when=False), [ok()], "ks", "kr"),
]


@pytest.mark.parametrize(("protocol", "outcomes", "before", "after"), _rows(REQUESTED))
def test_advance_retry_requested_goes_on_from_step(
    protocol: Protocol, outcomes: list[TaskOutcome], before: str, after: str
) -> None:
    workflow, _ = play(make_workflow(protocol), outcomes)
    assert (statuses(workflow), workflow.status) == (before, FAILED)
    workflow, commands = advance(workflow, RetryRequested())
    assert (statuses(workflow), workflow.error) == (after, None)
    assert [(type(one), getattr(one, "attempt", 0)) for one in commands] == [(StartTask, 2)]


def test_advance_retry_requested_ignores_results_of_earlier_attempts() -> None:
    workflow, _ = play(make_workflow(make_protocol({})), [bad()])
    workflow, _ = advance(workflow, RetryRequested())
    assert advance(workflow, _result(0, 1)) == (workflow, ())
    workflow, _ = advance(workflow, _result(0, 2))
    assert (workflow.status, workflow.output) == (DONE, {"late": True})


def test_advance_retry_requested_checks_config_again() -> None:
    item = ConfigItem("x", "X", ConfigType.STRING, required=True)
    workflow, _ = play(make_workflow(make_protocol({}, config={"x": item})))
    workflow, commands = advance(workflow, RetryRequested())
    assert workflow.status is FAILED
    assert [type(command) for command in commands] == [FinishWorkflow]


def test_advance_retry_requested_counts_attempts_on_past_a_skip() -> None:
    protocol = make_protocol(ON, _if("$( steps.a.isFailed )"), success_when=False)
    workflow, _ = play(make_workflow(protocol), [bad(), ok()])
    for attempt, result, steps in ((2, ok(), "sk"), (3, bad(), "fr")):
        workflow, _ = advance(workflow, RetryRequested())
        workflow, commands = advance(workflow, AttemptFinished(0, attempt, result, at=NOW))
        assert statuses(workflow) == steps
    assert [(one.step, one.attempt) for one in commands if isinstance(one, StartTask)] == [(1, 2)]


@pytest.mark.parametrize(
    ("workflow", "commands"),
    [
        pytest.param(make_workflow(make_protocol({})), (), id="before-start"),
        pytest.param(_finished(), (), id="after-end"),
        pytest.param(
            _at_second_step(),
            (StartTask(step=1, attempt=1, input=None, memory_mb=512, timeout_s=3600.0),),
            id="running",
        ),
    ],
)
def test_outstanding_names_what_is_waited_for(workflow: Workflow, commands: Any) -> None:
    assert outstanding(workflow) == commands


def test_create_workflow_with_other_number_of_defaults_is_refused() -> None:
    with pytest.raises(ValueError, match="1 defaults for 2 steps"):
        create_workflow(
            make_protocol({}, {}), workflow_id="w", started_at="", step_defaults=[StepDefaults()]
        )

"""The state machine of a workflow: ``advance(workflow, event)``.

Source:
    Protocol rules, "Control flow": per step, in order,

    1. ``if`` true runs the step, false skips it;
    2. success goes on;
    3. failure with a true ``continueOnError`` goes on;
    4. any other failure skips every remaining step and ends the workflow.

    After the last step, or after 4, ``successWhen`` and ``onFailed`` decide.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from stepline.engine.checks import check_config, step_limits
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
    StopTask,
    WorkflowRefused,
    WorkflowStarted,
)
from stepline.engine.retry import next_memory_mb, retry_delay
from stepline.engine.scope import WorkflowFault, evaluated, holds, make_scope, source_of
from stepline.model.protocol import Step
from stepline.model.task import OutcomeKind, TaskOutcome
from stepline.model.values import Json
from stepline.model.workflow import StepDefaults, StepState, StepStatus, Workflow, WorkflowStatus

Transition: TypeAlias = tuple[Workflow, tuple[Command, ...]]

_CANCELLED = "The workflow was cancelled"
_RETRYABLE = (WorkflowStatus.FAILED, WorkflowStatus.CANCELLED)


def advance(workflow: Workflow, event: Event) -> Transition:
    """Return the workflow after an event, and what is to be done next.

    An event that does not fit the workflow's state (a duplicate, a late result, one
    of another attempt) changes nothing and asks for nothing. So results may be
    delivered more than once and in any order.

    The output of a workflow that completes is that of the last step that ran: null
    if no step ran, or if that one failed.
    """
    if workflow.finished and not isinstance(event, RetryRequested):
        return workflow, ()
    match event:
        case WorkflowStarted() if workflow.status is WorkflowStatus.PENDING:
            return _start(workflow)
        case AttemptFinished() if _is_awaited(workflow, event):
            return _attempt_finished(workflow, event)
        case RetryDue() if _is_due(workflow, event):
            return _start_attempt(workflow, event.step)
        case CancelRequested():
            return _cancel(workflow, event.reason)
        case WorkflowRefused():
            return _refuse(workflow, event.error)
        case RetryRequested() if workflow.status in _RETRYABLE:
            return _retry(workflow)
    return workflow, ()


def outstanding(workflow: Workflow) -> tuple[Command, ...]:
    """Return again what a workflow in progress waits for, such as after a restart.

    It is one command, to start the newest attempt or to schedule the next; none
    before the start and after the end.
    """
    if workflow.finished:
        return ()
    for index, state in enumerate(workflow.steps):
        if state.status is StepStatus.RUNNING:
            return (_start_command(index, state),)
        if state.status is StepStatus.WAITING:
            at = state.retry_at or 0.0
            return (ScheduleRetry(step=index, attempt=state.attempt + 1, at=at),)
    return ()


def _start(workflow: Workflow) -> Transition:
    """Check the config values, then go to the first step."""
    workflow = replace(workflow, status=WorkflowStatus.IN_PROGRESS)
    try:
        check_config(workflow)
    except WorkflowFault as fault:
        return _fail(workflow, 0, error=fault.error)
    return _go_on(workflow, 0)


def _go_on(workflow: Workflow, index: int) -> Transition:
    """Skip steps from ``index`` on until one runs or none is left (rule 1)."""
    for step in workflow.protocol.steps[index:]:
        try:
            prepared = _prepare(workflow, step)
        except WorkflowFault as fault:
            return _fail(workflow, step.index, error=fault.error)
        workflow = _with_step(workflow, step.index, prepared)
        if prepared.status is not StepStatus.SKIPPED:
            return _start_attempt(workflow, step.index)
    return _conclude(workflow, step_error=None, stopped=False)


def _prepare(workflow: Workflow, step: Step) -> StepState:
    """Return a step's state with its input and limits fixed, or skipped."""
    attempt = workflow.steps[step.index].attempt
    scope = make_scope(workflow, before=step.index)
    if not holds(step.condition, scope, source=source_of(step, "if")):
        return StepState(status=StepStatus.SKIPPED, attempt=attempt)
    limits = step_limits(
        step,
        _defaults(workflow, step.index),
        scope=scope,
        max_memory_mb=workflow.retry.max_memory_mb,
    )
    value = evaluated(step.input, scope, source=source_of(step, "input"))
    return StepState(
        attempt=attempt,
        input=value,
        memory_mb=limits.memory_mb,
        timeout_s=limits.timeout_s,
    )


def _start_attempt(workflow: Workflow, index: int) -> Transition:
    state = workflow.steps[index]
    state = replace(
        state,
        status=StepStatus.RUNNING,
        attempt=state.attempt + 1,
        memory_mb=next_memory_mb(workflow.retry, state),
        retry_at=None,
    )
    return _with_step(workflow, index, state), (_start_command(index, state),)


def _attempt_finished(workflow: Workflow, event: AttemptFinished) -> Transition:
    """Take a result: success goes on (rule 2), failure is retried or final."""
    index, outcome = event.step, event.outcome
    state = workflow.steps[index]
    state = replace(state, outcomes=(*state.outcomes, outcome))
    if outcome.succeeded:
        state = replace(state, status=StepStatus.SUCCESS, output=outcome.value)
        return _go_on(_with_step(workflow, index, state), index + 1)
    delay = retry_delay(workflow.retry, state.outcomes)
    if delay is None:
        state = replace(state, status=StepStatus.FAILED, error=outcome.error)
        return _step_failed(_with_step(workflow, index, state), index)
    retry_at = event.at + delay
    state = replace(state, status=StepStatus.WAITING, retry_at=retry_at)
    command = ScheduleRetry(step=index, attempt=state.attempt + 1, at=retry_at)
    return _with_step(workflow, index, state), (command,)


def _step_failed(workflow: Workflow, index: int) -> Transition:
    """Go on if the step says so (rule 3), else skip the rest and end (rule 4)."""
    step = workflow.protocol.steps[index]
    try:
        scope = make_scope(workflow, before=index + 1)
        go_on = holds(step.continue_on_error, scope, source=source_of(step, "continueOnError"))
    except WorkflowFault as fault:
        return _fail(workflow, index + 1, error=fault.error)
    if go_on:
        return _go_on(workflow, index + 1)
    workflow = _skip_from(workflow, index + 1)
    return _conclude(workflow, step_error=workflow.steps[index].error, stopped=True)


def _conclude(workflow: Workflow, *, step_error: Json, stopped: bool) -> Transition:
    """End a workflow whose steps are all final.

    Without ``successWhen`` it succeeds unless a failed step stopped it; with it, that
    alone decides. A failed workflow's error is ``onFailed``, else the error of the
    step that stopped it, else null.
    """
    protocol = workflow.protocol
    succeeded = not stopped
    try:
        if protocol.success_when is not None:
            scope = make_scope(workflow)
            succeeded = holds(protocol.success_when, scope, source="successWhen")
            step_error = None
        if succeeded:
            return _end(workflow, WorkflowStatus.COMPLETED, output=_last_output(workflow))
        if protocol.has_on_failed:
            step_error = evaluated(protocol.on_failed, make_scope(workflow), source="onFailed")
    except WorkflowFault as fault:
        step_error = fault.error
    return _end(workflow, WorkflowStatus.FAILED, error=step_error)


def _fail(workflow: Workflow, index: int, *, error: Json) -> Transition:
    """End at once over a fault: steps from ``index`` on never ran."""
    return _end(_skip_from(workflow, index), WorkflowStatus.FAILED, error=error)


def _cancel(workflow: Workflow, reason: str) -> Transition:
    """End at once on request; ``successWhen`` and ``onFailed`` are not asked."""
    text = reason or _CANCELLED
    stops: list[Command] = []
    steps = []
    for index, state in enumerate(workflow.steps):
        if state.status is StepStatus.RUNNING:
            stops.append(StopTask(step=index, attempt=state.attempt))
        steps.append(_cancelled(state, text))
    workflow = replace(workflow, steps=tuple(steps))
    workflow, finish = _end(workflow, WorkflowStatus.CANCELLED, error=text)
    return workflow, (*stops, *finish)


def _refuse(workflow: Workflow, error: Json) -> Transition:
    """End at once as failed; of a step that runs, the attempt is not waited for."""
    text = error if isinstance(error, str) else ""
    workflow, (*stops, _) = _cancel(workflow, text)
    workflow, finish = _end(workflow, WorkflowStatus.FAILED, error=error)
    return workflow, (*stops, *finish)


def _cancelled(state: StepState, reason: str) -> StepState:
    """Return a step's final state after a cancel."""
    if state.status is StepStatus.PENDING:
        return replace(state, status=StepStatus.SKIPPED)
    if state.status is StepStatus.WAITING:
        error = state.outcomes[-1].error
        return replace(state, status=StepStatus.FAILED, error=error, retry_at=None)
    if state.status is StepStatus.RUNNING:
        outcome = TaskOutcome(OutcomeKind.CANCELLED, message=reason)
        outcomes = (*state.outcomes, outcome)
        return replace(state, status=StepStatus.FAILED, error=outcome.error, outcomes=outcomes)
    return state


def _retry(workflow: Workflow) -> Transition:
    """Go on from the step that ended the workflow; what ran before it stays.

    That is the last failed step, or the first step where none failed. Attempts are
    counted on, so that late results of earlier ones are told from new ones.
    """
    failed = [i for i, state in enumerate(workflow.steps) if state.status is StepStatus.FAILED]
    first = failed[-1] if failed else 0
    fresh = tuple(StepState(attempt=state.attempt) for state in workflow.steps[first:])
    steps = (*workflow.steps[:first], *fresh)
    workflow = replace(workflow, status=WorkflowStatus.IN_PROGRESS, steps=steps, error=None)
    return _go_on(workflow, first) if failed else _start(workflow)


def _end(
    workflow: Workflow, status: WorkflowStatus, *, output: Json = None, error: Json = None
) -> Transition:
    workflow = replace(workflow, status=status, output=output, error=error)
    return workflow, (FinishWorkflow(status=status, output=output, error=error),)


def _last_output(workflow: Workflow) -> Json:
    ran = [state for state in workflow.steps if state.status is not StepStatus.SKIPPED]
    return ran[-1].output if ran else None


def _is_awaited(workflow: Workflow, event: AttemptFinished) -> bool:
    state = _state_at(workflow, event.step)
    return state.status is StepStatus.RUNNING and state.attempt == event.attempt


def _is_due(workflow: Workflow, event: RetryDue) -> bool:
    state = _state_at(workflow, event.step)
    return state.status is StepStatus.WAITING and state.attempt + 1 == event.attempt


def _state_at(workflow: Workflow, index: int) -> StepState:
    """Return a step's state; that of a step not begun where there is none."""
    return workflow.steps[index] if 0 <= index < len(workflow.steps) else StepState()


def _defaults(workflow: Workflow, index: int) -> StepDefaults:
    """Return a step's defaults; a workflow made by hand may have none."""
    defaults = workflow.step_defaults
    return defaults[index] if index < len(defaults) else StepDefaults()


def _start_command(index: int, state: StepState) -> StartTask:
    return StartTask(
        step=index,
        attempt=state.attempt,
        input=state.input,
        memory_mb=state.memory_mb or 0,
        timeout_s=state.timeout_s or 0.0,
    )


def _with_step(workflow: Workflow, index: int, state: StepState) -> Workflow:
    steps = workflow.steps
    return replace(workflow, steps=(*steps[:index], state, *steps[index + 1 :]))


def _skip_from(workflow: Workflow, index: int) -> Workflow:
    """Record the steps from ``index`` on as skipped; those before are left alone."""
    skipped = tuple(replace(state, status=StepStatus.SKIPPED) for state in workflow.steps[index:])
    return replace(workflow, steps=(*workflow.steps[:index], *skipped))

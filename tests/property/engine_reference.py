"""Plans of workflows, and a straight-line interpreter that says how they must end.

It knows nothing of events: it runs the steps one after another and asks each
attempt's outcome from the plan's script. Conditions are small tuples, which are
written as expressions only for the engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from stepline.engine import create_workflow
from stepline.model.protocol import Protocol, Step, StepOptions, TaskReference
from stepline.model.task import OutcomeKind, TaskOutcome
from stepline.model.workflow import RetryBehavior, RetryPolicy, Workflow

Condition = Any
"""True, False, ("not", condition), or (member, step index); ("flag", i) reads an output."""

FAILURES = [
    OutcomeKind.RAISED,
    OutcomeKind.OUT_OF_MEMORY,
    OutcomeKind.TIMED_OUT,
    OutcomeKind.FATAL,
    OutcomeKind.CANCELLED,
]


@dataclass(frozen=True)
class StepPlan:
    """One step and the outcomes of its attempts; the last of them repeats."""

    condition: Condition
    go_on: Condition
    reads: int | None
    memory_mb: int | None
    script: tuple[OutcomeKind, ...]


@dataclass(frozen=True)
class Plan:
    steps: tuple[StepPlan, ...]
    success_when: Condition
    on_failed: Any
    retry: RetryPolicy


@dataclass(frozen=True)
class Ended:
    """How one step ended: status, output, error and the memory of its attempts."""

    status: str
    output: Any = None
    error: Any = None
    memory: tuple[int, ...] = ()


@dataclass(frozen=True)
class Verdict:
    status: str
    output: Any
    error: Any
    steps: tuple[Ended, ...]


def _conditions(readable: int) -> st.SearchStrategy[Condition]:
    plain = st.booleans()
    if readable == 0:
        return plain
    members = st.sampled_from(["isSuccess", "isFailed", "isSkipped", "flag"])
    read = st.tuples(members, st.integers(0, readable - 1))
    return plain | read | st.tuples(st.just("not"), read)


def _step(index: int) -> st.SearchStrategy[StepPlan]:
    returned = st.just(OutcomeKind.RETURNED)
    failures = st.sampled_from(FAILURES)
    return st.builds(
        StepPlan,
        condition=st.just(True) | _conditions(index),
        go_on=_conditions(index + 1),
        reads=st.none() if index == 0 else st.none() | st.integers(0, index - 1),
        memory_mb=st.sampled_from([None, 512, 3000, 8192]),
        script=st.lists(failures | returned, min_size=1, max_size=4).map(tuple),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    count = draw(st.integers(0, 4))
    return Plan(
        steps=tuple(draw(_step(index)) for index in range(count)),
        success_when=draw(st.none() | _conditions(count)),
        on_failed=draw(st.sampled_from(["absent", None, "told"])),
        retry=RetryPolicy(
            draw(st.sampled_from([*RetryBehavior][::-1])),
            base_delay_s=draw(st.sampled_from([0.0, 1.0])),
            max_retries=draw(st.integers(0, 3)),
        ),
    )


def outcome(plan: Plan, index: int, nth: int) -> TaskOutcome:
    """What the n-th attempt of a step that is not lost comes to, n from 0."""
    script = plan.steps[index].script
    kind = script[min(nth, len(script) - 1)]
    if kind is OutcomeKind.RETURNED:
        return TaskOutcome(kind, value={"flag": (index + nth) % 2 == 0, "by": f"s{index}.{nth}"})
    return TaskOutcome(kind, message=f"s{index}.{nth} {kind.value}")


def reference(plan: Plan) -> Verdict:
    """Run a plan in a straight line."""
    ended: list[Ended] = []
    stopped_by: Ended | None = None
    for index, step in enumerate(plan.steps):
        if stopped_by or not _true(step.condition, ended):
            ended.append(Ended("skipped"))
            continue
        ended.append(_run_step(plan, index))
        if ended[-1].status == "failed" and not _true(step.go_on, ended):
            stopped_by = ended[-1]
    succeeded = stopped_by is None
    error = stopped_by.error if stopped_by else None
    if plan.success_when is not None:
        succeeded, error = _true(plan.success_when, ended), None
    if succeeded:
        outputs = [one.output for one in ended if one.status != "skipped"]
        return Verdict("completed", outputs[-1] if outputs else None, None, tuple(ended))
    if plan.on_failed != "absent":
        error = plan.on_failed
    return Verdict("failed", None, error, tuple(ended))


def _run_step(plan: Plan, index: int) -> Ended:
    memory = [plan.steps[index].memory_mb or 512]
    for nth in range(plan.retry.max_retries + 1):
        result = outcome(plan, index, nth)
        if result.kind is OutcomeKind.RETURNED:
            return Ended("success", result.value, None, tuple(memory))
        if nth == plan.retry.max_retries or not _retried(plan.retry.behavior, result.kind):
            break
        doubles = result.kind is OutcomeKind.OUT_OF_MEMORY
        memory.append(min(8192, memory[-1] * 2) if doubles else memory[-1])
    return Ended("failed", None, result.error, tuple(memory))


def _retried(behavior: RetryBehavior, kind: OutcomeKind) -> bool:
    never = {OutcomeKind.FATAL, OutcomeKind.CANCELLED}
    retried = {
        RetryBehavior.OFF: set[OutcomeKind](),
        RetryBehavior.OOM_ONLY: {OutcomeKind.OUT_OF_MEMORY},
    }.get(behavior, set(FAILURES) - never)
    return kind in retried


def _true(condition: Condition, ended: list[Ended]) -> bool:
    if isinstance(condition, bool):
        return condition
    what, of = condition
    if what == "not":
        return not _true(of, ended)
    if what == "flag":
        return bool((ended[of].output or {}).get("flag"))
    return f"is{ended[of].status.capitalize()}" == what


def workflow_of(plan: Plan) -> Workflow:
    """The same plan as a workflow for the engine."""
    steps = [
        Step(
            index=index,
            id=f"s{index}",
            task=TaskReference("common", "demo", "v1.0.0", "run"),
            condition=_written(step.condition),
            continue_on_error=_written(step.go_on),
            input=None if step.reads is None else f"$( steps.s{step.reads} )",
            options=StepOptions(memory_mb=step.memory_mb),
        )
        for index, step in enumerate(plan.steps)
    ]
    told = plan.on_failed != "absent"
    protocol = Protocol(
        steps=tuple(steps),
        success_when=None if plan.success_when is None else _written(plan.success_when),
        on_failed=plan.on_failed if told else None,
        has_on_failed=told,
    )
    return create_workflow(protocol, workflow_id="w", started_at="", retry=plan.retry)


def verdict_of(workflow: Workflow) -> Verdict:
    """How the engine's workflow ended, lost attempts left out."""
    return Verdict(
        workflow.status.value,
        workflow.output,
        workflow.error,
        tuple(Ended(state.status.value, state.output, state.error) for state in workflow.steps),
    )


def without_memory(verdict: Verdict) -> Verdict:
    steps = tuple(Ended(one.status, one.output, one.error) for one in verdict.steps)
    return Verdict(verdict.status, verdict.output, verdict.error, steps)


def _written(condition: Condition) -> Any:
    return condition if isinstance(condition, bool) else f"$( {''.join(_parts(condition))} )"


def _parts(condition: Condition) -> Iterator[str]:
    what, of = condition
    if what == "not":
        yield from ("not(", *_parts(of), ")")
    else:
        yield f"steps.s{of}.output.flag" if what == "flag" else f"steps.s{of}.{what}"

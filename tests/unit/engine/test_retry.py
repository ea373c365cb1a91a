"""Which failures are retried, when, and with how much memory."""

from __future__ import annotations

import pytest

from stepline.engine.retry import MAX_LOST_ATTEMPTS, next_memory_mb, retry_delay
from stepline.model.task import OutcomeKind, TaskOutcome
from stepline.model.workflow import RetryBehavior, RetryPolicy, StepState

Kind = OutcomeKind
OFF, OOM_ONLY = RetryBehavior.OFF, RetryBehavior.OOM_ONLY
CONSTANT, LINEAR = RetryBehavior.CONSTANT, RetryBehavior.LINEAR
EXPONENTIAL = RetryBehavior.EXPONENTIAL
GROWING = (CONSTANT, LINEAR, EXPONENTIAL)


def _delay(policy: RetryPolicy, *kinds: OutcomeKind, exit_code: int | None = None) -> float | None:
    return retry_delay(policy, tuple(TaskOutcome(kind, exit_code=exit_code) for kind in kinds))


@pytest.mark.parametrize(
    ("behavior", "delays"),
    [
        (OFF, [None, None, None, None, None]),
        (OOM_ONLY, [None, None, None, None, None]),
        (CONSTANT, [10, 10, 10, 10, None]),
        (LINEAR, [10, 20, 30, 35, None]),
        (EXPONENTIAL, [10, 20, 35, 35, None]),
    ],
)
def test_retry_delay_of_failures_grows_to_cap(
    behavior: RetryBehavior, delays: list[float | None]
) -> None:
    policy = RetryPolicy(behavior, base_delay_s=10, max_retries=4, max_delay_s=35)
    assert [_delay(policy, *[Kind.RAISED] * count) for count in range(1, 6)] == delays


@pytest.mark.parametrize("behavior", [OOM_ONLY, CONSTANT])
def test_retry_delay_of_out_of_memory_is_base(behavior: RetryBehavior) -> None:
    policy = RetryPolicy(behavior, base_delay_s=10, max_retries=2)
    delays = [_delay(policy, *[Kind.OUT_OF_MEMORY] * count) for count in (1, 2, 3)]
    assert delays == [10, 10, None]


RETRIED = [
    Kind.RAISED,
    Kind.IMPORT_FAILED,
    Kind.EXITED,
    Kind.KILLED,
    Kind.OUT_OF_MEMORY,
    Kind.TIMED_OUT,
]


@pytest.mark.parametrize("behavior", GROWING)
@pytest.mark.parametrize("kind", RETRIED)
def test_retry_delay_any_failure_is_retried(behavior: RetryBehavior, kind: OutcomeKind) -> None:
    assert _delay(RetryPolicy(behavior, base_delay_s=1), kind) == 1


@pytest.mark.parametrize("behavior", RetryBehavior)
@pytest.mark.parametrize("kind", [Kind.FATAL, Kind.CANCELLED])
def test_retry_delay_fatal_and_cancelled_are_final(
    behavior: RetryBehavior, kind: OutcomeKind
) -> None:
    assert _delay(RetryPolicy(behavior), kind) is None


@pytest.mark.parametrize(("exit_code", "delay"), [(126, None), (1, 1.0), (0, 1.0)])
def test_retry_delay_exit_code_126_is_final(exit_code: int, delay: float | None) -> None:
    assert _delay(RetryPolicy(CONSTANT), Kind.EXITED, exit_code=exit_code) == delay


@pytest.mark.parametrize("kind", [kind for kind in RETRIED if kind is not Kind.OUT_OF_MEMORY])
def test_retry_delay_oom_only_leaves_other_failures(kind: OutcomeKind) -> None:
    assert _delay(RetryPolicy(OOM_ONLY), kind) is None


@pytest.mark.parametrize("behavior", RetryBehavior)
def test_retry_delay_lost_attempts_are_made_up_for(behavior: RetryBehavior) -> None:
    policy = RetryPolicy(behavior, base_delay_s=1, max_retries=0)
    delays = [_delay(policy, *[Kind.LOST] * count) for count in range(1, 5)]
    assert delays == [1, 2, 4, None]
    assert MAX_LOST_ATTEMPTS == 3


def test_retry_delay_lost_attempts_do_not_count_as_retries() -> None:
    policy = RetryPolicy(LINEAR, base_delay_s=1, max_retries=2)
    kinds = [Kind.LOST, Kind.RAISED, Kind.LOST, Kind.RAISED, Kind.RAISED]
    delays = [_delay(policy, *kinds[: count + 1]) for count in range(5)]
    assert delays == [1, 1, 2, 2, None]


def test_retry_delay_no_retries_allowed_is_final() -> None:
    assert _delay(RetryPolicy(CONSTANT, max_retries=0), Kind.RAISED) is None


def test_retry_delay_of_huge_count_stays_at_cap() -> None:
    policy = RetryPolicy(EXPONENTIAL, base_delay_s=1, max_retries=5000)
    assert _delay(policy, *[Kind.RAISED] * 4000) == policy.max_delay_s


@pytest.mark.parametrize(
    ("memory_mb", "kinds", "expected"),
    [
        (512, [], 512),
        (512, [Kind.OUT_OF_MEMORY], 1024),
        (5000, [Kind.OUT_OF_MEMORY], 8192),
        (8192, [Kind.OUT_OF_MEMORY], 8192),
        (9000, [Kind.OUT_OF_MEMORY], 9000),
        (512, [Kind.RAISED], 512),
        (1024, [Kind.OUT_OF_MEMORY, Kind.RAISED], 1024),
        (1024, [Kind.OUT_OF_MEMORY, Kind.LOST], 1024),
    ],
)
def test_next_memory_doubles_after_out_of_memory(
    memory_mb: int, kinds: list[OutcomeKind], expected: int
) -> None:
    state = StepState(memory_mb=memory_mb, outcomes=tuple(TaskOutcome(kind) for kind in kinds))
    assert next_memory_mb(RetryPolicy(EXPONENTIAL), state) == expected


@pytest.mark.parametrize("behavior", list(RetryBehavior))
@pytest.mark.parametrize("kind", [Kind.LOST, Kind.RAISED])
def test_retry_delay_of_a_final_outcome_is_none(behavior: RetryBehavior, kind: OutcomeKind) -> None:
    policy = RetryPolicy(behavior, base_delay_s=1)
    assert retry_delay(policy, (TaskOutcome(kind, final=True),)) is None

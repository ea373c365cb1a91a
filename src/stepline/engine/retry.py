"""Whether and when a failed attempt is followed by another.

Source:
    Protocol rules, "Retries, time, memory": delays ``base``, ``base * n`` and
    ``base * 2^(n-1)``, capped; out-of-memory doubles memory up to a cap.
"""

from __future__ import annotations

from stepline.model.task import EXIT_FATAL, OutcomeKind, TaskOutcome
from stepline.model.workflow import RetryBehavior, RetryPolicy, StepState

MAX_LOST_ATTEMPTS = 3
"""Lost attempts of one step that are made up for; one more fails the step."""

_MAX_DOUBLINGS = 62


def retry_delay(policy: RetryPolicy, outcomes: tuple[TaskOutcome, ...]) -> float | None:
    """Return the seconds until the next attempt, or None if the failure is final.

    A lost attempt says nothing about the function, so it is made up for under
    every behaviour, ``off`` included, and does not count as a retry. The wait
    then grows exponentially, for whatever took the worker may still be there.
    An outcome that says itself that it is final is.

    Args:
        policy: The pipeline's retry settings.
        outcomes: Of all attempts of the step so far, the newest last; at least one.
    """
    newest = outcomes[-1]
    if newest.final:
        return None
    lost = sum(outcome.kind is OutcomeKind.LOST for outcome in outcomes)
    if newest.kind is OutcomeKind.LOST:
        if lost > MAX_LOST_ATTEMPTS:
            return None
        return _delay(policy, RetryBehavior.EXPONENTIAL, lost)
    failures = len(outcomes) - lost
    if failures > policy.max_retries or not _may_retry(policy.behavior, newest):
        return None
    return _delay(policy, policy.behavior, failures)


def next_memory_mb(policy: RetryPolicy, state: StepState) -> int:
    """Return the memory of a step's next attempt, MiB."""
    memory_mb = state.memory_mb or 0
    if not state.outcomes or state.outcomes[-1].kind is not OutcomeKind.OUT_OF_MEMORY:
        return memory_mb
    return max(memory_mb, min(2 * memory_mb, policy.max_memory_mb))


def _may_retry(behavior: RetryBehavior, failure: TaskOutcome) -> bool:
    """Whether a failure of this kind is retried; lost attempts are not asked about."""
    if failure.kind in (OutcomeKind.FATAL, OutcomeKind.CANCELLED):
        return False
    if failure.kind is OutcomeKind.EXITED and failure.exit_code == EXIT_FATAL:
        return False
    if behavior is RetryBehavior.OOM_ONLY:
        return failure.kind is OutcomeKind.OUT_OF_MEMORY
    return behavior is not RetryBehavior.OFF


def _delay(policy: RetryPolicy, behavior: RetryBehavior, retry: int) -> float:
    """Return the seconds before the n-th retry, n from 1."""
    factor = 1.0
    if behavior is RetryBehavior.LINEAR:
        factor = float(retry)
    elif behavior is RetryBehavior.EXPONENTIAL:
        factor = 2.0 ** min(retry - 1, _MAX_DOUBLINGS)
    return min(policy.base_delay_s * factor, policy.max_delay_s)

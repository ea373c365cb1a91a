"""Whose task is next, so that none floods the others out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stepline.frozen import frozen

FAIR_TURN = 4
"""Every so many turns, the pipeline that was served longest ago comes first."""

_NEVER = -1


@frozen
class Head:
    """The first task of one pipeline's queue.

    Attributes:
        pipeline_id: The pipeline; one head for each.
        priority: Of the task, 1 to 10.
        running: How many tasks of the pipeline run now.
    """

    pipeline_id: str
    priority: int
    running: int


def choose(heads: Sequence[Head], turn: int, *, last_served: Mapping[str, int]) -> Head | None:
    """Return whose task is next.

    The highest priority goes first; among equals the pipeline with the fewest running tasks,
    then the one served longest ago. Each fourth turn asks only who was served longest ago:
    among n pipelines, none waits for more than 4 n turns, whatever the others queue.

    Args:
        heads: First task of each pipeline that has one due.
        turn: Number of this turn; the caller counts the tasks that it leased.
        last_served: Turn in which each pipeline was served last; none if it never was.

    Returns:
        One of the heads; None if there is none.
    """
    fair = turn % FAIR_TURN == FAIR_TURN - 1

    def order(head: Head) -> tuple[int, int, int, str]:
        served = last_served.get(head.pipeline_id, _NEVER)
        if fair:
            return served, -head.priority, head.running, head.pipeline_id
        return -head.priority, head.running, served, head.pipeline_id

    return min(heads, key=order, default=None)

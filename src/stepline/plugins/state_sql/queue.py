"""The queue of attempts.

A task is ``ready``, ``delayed`` until it is due, or ``leased``. Heads are found by the
index over stage, pipeline and order: one step per pipeline, however many tasks wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, text, update

from stepline.errors import PlatformError
from stepline.plugins.state_sql.tables import queue
from stepline.ports.state import Lease, QueuedTask, QueueHead

_READY, _DELAYED, _LEASED = "ready", "delayed", "leased"
# A fence is the task's number in the queue, which is never used again, then its leases.
_FENCE_STEP = 1 << 20
_FREED = {"stage": _READY, "owner": "", "until": 0.0}

_this = (
    queue.c.workflow_id == bindparam("wanted"),
    queue.c.step == bindparam("a_step"),
    queue.c.attempt == bindparam("an_attempt"),
)
_PUT_AGAIN = (
    update(queue)
    .where(*_this)
    .values(
        pipeline_id=bindparam("a_pipeline"),
        priority=bindparam("a_priority"),
        due_at=bindparam("due"),
        stage=bindparam("a_stage"),
        owner="",
        until=0.0,
        leases=queue.c.leases + 1,
    )
)
_ADD = insert(queue)
_GET = select(queue).where(*_this)
_OF_WORKFLOW = (
    select(queue).where(queue.c.workflow_id == bindparam("wanted")).order_by(queue.c.number)
)
_LEASE = (
    update(queue)
    .where(*_this)
    .values(
        stage=_LEASED,
        owner=bindparam("an_owner"),
        until=bindparam("an_end"),
        leases=queue.c.leases + 1,
    )
)
_REMOVE = delete(queue).where(*_this)
_EXTEND = (
    update(queue)
    .where(queue.c.stage == _LEASED, queue.c.owner == bindparam("an_owner"))
    .values(until=bindparam("an_end"))
)
_RELEASE_EXPIRED = (
    update(queue).where(queue.c.stage == _LEASED, queue.c.until <= bindparam("now")).values(_FREED)
)
_RELEASE_OWNED = (
    update(queue)
    .where(queue.c.stage == _LEASED, queue.c.owner != bindparam("an_owner"))
    .values(_FREED)
)
_BECOME_READY = (
    update(queue)
    .where(queue.c.stage == _DELAYED, queue.c.due_at <= bindparam("now"))
    .values(stage=_READY)
)
_NEXT_DUE = select(func.min(queue.c.due_at)).where(
    queue.c.stage == _DELAYED, queue.c.due_at > bindparam("now")
)
_HEADS = text(
    """
    WITH RECURSIVE pipeline (id) AS (
        SELECT min(pipeline_id) FROM queue WHERE stage = 'ready'
        UNION ALL
        SELECT (SELECT min(q.pipeline_id) FROM queue AS q
                WHERE q.stage = 'ready' AND q.pipeline_id > pipeline.id)
        FROM pipeline WHERE pipeline.id IS NOT NULL
    ), due (pipeline_id, number) AS (
        SELECT id, (SELECT min(q.number) FROM queue AS q
                    WHERE q.stage = 'ready' AND q.pipeline_id = pipeline.id)
        FROM pipeline WHERE id IS NOT NULL
        UNION ALL
        SELECT pipeline_id, min(number) FROM queue
        WHERE stage = 'delayed' AND due_at <= :now GROUP BY pipeline_id
    ), head (number) AS (SELECT min(number) FROM due GROUP BY pipeline_id)
    SELECT queue.workflow_id, queue.step, queue.attempt, queue.pipeline_id, queue.priority,
           queue.due_at,
           (SELECT count(*) FROM queue AS q
            WHERE q.stage = 'leased' AND q.pipeline_id = queue.pipeline_id) AS running
    FROM head JOIN queue ON queue.number = head.number ORDER BY queue.number
    """
)


class SqlQueue:
    """Attempts that are to be made, and who makes them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, task: QueuedTask) -> None:
        """Queue an attempt; the same again changes when it is due and ends its lease."""
        stage = _DELAYED if task.due_at > 0 else _READY
        changed = {
            "a_pipeline": task.pipeline_id,
            "a_priority": task.priority,
            "due": task.due_at,
            "a_stage": stage,
        }
        this = _given(task.workflow_id, task.step, task.attempt)
        if not self._connection.execute(_PUT_AGAIN, {**this, **changed}).rowcount:
            rest = {"stage": stage, "owner": "", "until": 0.0, "leases": 0}
            self._connection.execute(_ADD, {**_row(task), **rest})

    def heads(self, now: float) -> Sequence[QueueHead]:
        """Return the next due task of each pipeline that has one, longest queued first."""
        rows = self._connection.execute(_HEADS, {"now": now})
        return [QueueHead(_task(row), row.running) for row in rows]

    def next_due(self, now: float) -> float | None:
        """Return when the next task that is not due yet will be, or None."""
        found: float | None = self._connection.execute(_NEXT_DUE, {"now": now}).scalar()
        return found

    def lease(self, task: QueuedTask, *, owner: str, until: float) -> Lease:
        """Lease a queued attempt.

        Raises:
            PlatformError: It is not queued.
        """
        this = _given(task.workflow_id, task.step, task.attempt)
        self._connection.execute(_LEASE, {**this, "an_owner": owner, "an_end": until})
        row = self._connection.execute(_GET, this).first()
        if row is None:
            raise PlatformError(
                f"attempt {task.attempt} at step {task.step} of workflow '{task.workflow_id}' "
                "is not queued"
            )
        return Lease(task=_task(row), owner=owner, fence=_fence(row), until=until)

    def holds(self, lease: Lease) -> bool:
        """Return whether a lease is the newest one of its task, and the task still queued."""
        task = lease.task
        this = _given(task.workflow_id, task.step, task.attempt)
        row = self._connection.execute(_GET, this).first()
        return row is not None and _fence(row) == lease.fence

    def remove(self, workflow_id: str, *, step: int, attempt: int) -> None:
        """Remove an attempt from the queue, whoever has it."""
        self._connection.execute(_REMOVE, _given(workflow_id, step, attempt))

    def extend(self, owner: str, *, until: float) -> int:
        """Extend all leases of an owner; return how many there are."""
        given = {"an_owner": owner, "an_end": until}
        return self._connection.execute(_EXTEND, given).rowcount

    def release_expired(self, now: float) -> int:
        """Make tasks whose leases have ended free again; return how many.

        What became due meanwhile joins those that are ready, so that many of them at once
        cost `heads` nothing.
        """
        self._connection.execute(_BECOME_READY, {"now": now})
        return self._connection.execute(_RELEASE_EXPIRED, {"now": now}).rowcount

    def release_owned(self, *, but: str) -> int:
        """Make tasks free that others than ``but`` have leased; return how many."""
        return self._connection.execute(_RELEASE_OWNED, {"an_owner": but}).rowcount

    def of_workflow(self, workflow_id: str) -> Sequence[QueuedTask]:
        """Return the queued and leased attempts of a workflow."""
        return [
            _task(row) for row in self._connection.execute(_OF_WORKFLOW, {"wanted": workflow_id})
        ]


def _given(workflow_id: str, step: int, attempt: int) -> Mapping[str, Any]:
    return {"wanted": workflow_id, "a_step": step, "an_attempt": attempt}


def _row(task: QueuedTask) -> dict[str, Any]:
    return {
        "workflow_id": task.workflow_id,
        "step": task.step,
        "attempt": task.attempt,
        "pipeline_id": task.pipeline_id,
        "priority": task.priority,
        "due_at": task.due_at,
    }


def _task(row: Row[Any]) -> QueuedTask:
    return QueuedTask(
        workflow_id=row.workflow_id,
        step=row.step,
        attempt=row.attempt,
        pipeline_id=row.pipeline_id,
        priority=row.priority,
        due_at=row.due_at,
    )


def _fence(row: Row[Any]) -> int:
    fence: int = row.number * _FENCE_STEP + row.leases
    return fence

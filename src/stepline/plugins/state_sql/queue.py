"""The queue of attempts.

A task is ``ready``, ``delayed`` until it is due, or ``leased``. Heads are found by the
index over stage, pipeline and order: one step per pipeline, however many tasks wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    bindparam,
    column,
    delete,
    func,
    select,
    text,
    update,
)

from stepline.errors import PlatformError
from stepline.plugins.state_sql.statements import Statement
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
# SQLite and PostgreSQL agree on this.
_PUT = Statement(
    text(
        "INSERT INTO queue (workflow_id, step, attempt, pipeline_id, priority, due_at, stage, "
        "owner, until, leases) VALUES (:workflow_id, :step, :attempt, :pipeline_id, :priority, "
        ":due_at, :stage, '', 0, 0) ON CONFLICT (workflow_id, step, attempt) DO UPDATE SET "
        "pipeline_id = excluded.pipeline_id, priority = excluded.priority, "
        "due_at = excluded.due_at, stage = excluded.stage, owner = '', until = 0, "
        "leases = queue.leases + 1"
    )
)
_GET = Statement(select(queue).where(*_this))
_OF_WORKFLOW = Statement(
    select(queue).where(queue.c.workflow_id == bindparam("wanted")).order_by(queue.c.number)
)
_LEASE = Statement(
    update(queue)
    .where(*_this)
    .values(
        stage=_LEASED,
        owner=bindparam("an_owner"),
        until=bindparam("an_end"),
        leases=queue.c.leases + 1,
    )
    .returning(*queue.c)
)
_REMOVE = Statement(delete(queue).where(*_this))
_FINISH = Statement(
    delete(queue).where(
        *_this, queue.c.number == bindparam("a_number"), queue.c.leases == bindparam("a_lease")
    )
)
# SQLite and PostgreSQL agree on this.
_ADD_LEASED = Statement(
    text(
        "INSERT INTO queue (workflow_id, step, attempt, pipeline_id, priority, due_at, stage, "
        "owner, until, leases) VALUES (:workflow_id, :step, :attempt, :pipeline_id, :priority, "
        ":due_at, :stage, :owner, :until, :leases) "
        "ON CONFLICT (workflow_id, step, attempt) DO NOTHING RETURNING number"
    )
)
_EXTEND = Statement(
    update(queue)
    .where(queue.c.stage == _LEASED, queue.c.owner == bindparam("an_owner"))
    .values(until=bindparam("an_end"))
)
_RELEASE_EXPIRED = Statement(
    update(queue).where(queue.c.stage == _LEASED, queue.c.until <= bindparam("now")).values(_FREED)
)
_RELEASE_OWNED = Statement(
    update(queue)
    .where(queue.c.stage == _LEASED, queue.c.owner != bindparam("an_owner"))
    .values(_FREED)
)
_BECOME_READY = Statement(
    update(queue)
    .where(queue.c.stage == _DELAYED, queue.c.due_at <= bindparam("now"))
    .values(stage=_READY)
)
_NEXT_DUE = Statement(
    select(func.min(queue.c.due_at)).where(
        queue.c.stage == _DELAYED, queue.c.due_at > bindparam("now")
    )
)
_RUNNING = column("running", Integer)
_HEADS = Statement(
    text(
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
    ).columns(
        *(queue.c[name] for name in ("workflow_id", "step", "attempt", "pipeline_id", "priority")),
        queue.c.due_at,
        _RUNNING,
    )
)


class SqlQueue:
    """Attempts that are to be made, and who makes them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, task: QueuedTask) -> None:
        """Queue an attempt; the same again changes when it is due and ends its lease."""
        stage = _DELAYED if task.due_at > 0 else _READY
        _PUT.run(self._connection, {**_row(task), "stage": stage})

    def heads(self, now: float) -> Sequence[QueueHead]:
        """Return the next due task of each pipeline that has one, longest queued first."""
        rows = _HEADS.all(self._connection, {"now": now})
        return [QueueHead(_task(row), row.running) for row in rows]

    def next_due(self, now: float) -> float | None:
        """Return when the next task that is not due yet will be, or None."""
        found: float | None = _NEXT_DUE.scalar(self._connection, {"now": now})
        return found

    def lease(self, task: QueuedTask, *, owner: str, until: float) -> Lease:
        """Lease a queued attempt.

        Raises:
            PlatformError: It is not queued.
        """
        this = _given(task.workflow_id, task.step, task.attempt)
        given = {**this, "an_owner": owner, "an_end": until}
        row = _LEASE.first(self._connection, given)
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
        row = _GET.first(self._connection, this)
        return row is not None and _fence(row) == lease.fence

    def put_leased(self, task: QueuedTask, *, owner: str, until: float) -> Lease:
        """Queue an attempt that its owner makes at once.

        Raises:
            PlatformError: It is queued already.
        """
        given = {**_row(task), "stage": _LEASED, "owner": owner, "until": until, "leases": 1}
        number = _ADD_LEASED.scalar(self._connection, given)
        if number is None:
            raise PlatformError(f"attempt {task.attempt} of {task.workflow_id} is queued already")
        return Lease(task=task, owner=owner, fence=number * _FENCE_STEP + 1, until=until)

    def finish(self, lease: Lease) -> bool:
        """Remove an attempt for who has it; False, and nothing done, where the lease is over."""
        task = lease.task
        given = {
            **_given(task.workflow_id, task.step, task.attempt),
            "a_number": lease.fence // _FENCE_STEP,
            "a_lease": lease.fence % _FENCE_STEP,
        }
        return _FINISH.run(self._connection, given) > 0

    def remove(self, workflow_id: str, *, step: int, attempt: int) -> None:
        """Remove an attempt from the queue, whoever has it."""
        _REMOVE.run(self._connection, _given(workflow_id, step, attempt))

    def extend(self, owner: str, *, until: float) -> int:
        """Extend all leases of an owner; return how many there are."""
        given = {"an_owner": owner, "an_end": until}
        return _EXTEND.run(self._connection, given)

    def release_expired(self, now: float) -> int:
        """Make tasks whose leases have ended free again; return how many.

        What became due meanwhile joins those that are ready, so that many of them at once
        cost `heads` nothing.
        """
        _BECOME_READY.run(self._connection, {"now": now})
        return _RELEASE_EXPIRED.run(self._connection, {"now": now})

    def release_owned(self, *, but: str) -> int:
        """Make tasks free that others than ``but`` have leased; return how many."""
        return _RELEASE_OWNED.run(self._connection, {"an_owner": but})

    def of_workflow(self, workflow_id: str) -> Sequence[QueuedTask]:
        """Return the queued and leased attempts of a workflow."""
        return [_task(row) for row in _OF_WORKFLOW.all(self._connection, {"wanted": workflow_id})]


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


def _task(row: Any) -> QueuedTask:
    return QueuedTask(
        workflow_id=row.workflow_id,
        step=row.step,
        attempt=row.attempt,
        pipeline_id=row.pipeline_id,
        priority=row.priority,
        due_at=row.due_at,
    )


def _fence(row: Any) -> int:
    fence: int = row.number * _FENCE_STEP + row.leases
    return fence

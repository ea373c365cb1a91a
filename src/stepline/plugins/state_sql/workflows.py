"""Workflows and their attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    func,
    select,
    text,
    union_all,
    update,
)

from stepline.errors import PlatformError
from stepline.model.workflow import WorkflowStatus
from stepline.plugins.state_sql.plain import dump, load
from stepline.plugins.state_sql.statements import Statement
from stepline.plugins.state_sql.tables import attempts, workflows
from stepline.ports.state import Page, StoredAttempt, StoredWorkflow

_listed = [column for column in workflows.c if column.name != "state"]
_GET = Statement(select(workflows).where(workflows.c.id == bindparam("wanted")))
_BY_KEY = Statement(select(workflows).where(workflows.c.dedupe_key == bindparam("wanted")))
_ATTEMPTS = (
    select(attempts)
    .where(attempts.c.workflow_id == bindparam("wanted"))
    .order_by(attempts.c.step, attempts.c.attempt)
)
_IN_PROGRESS = Statement(
    select(func.count()).where(
        workflows.c.pipeline_id == bindparam("wanted"),
        workflows.c.status == WorkflowStatus.IN_PROGRESS.value,
    )
)
_WAITING = (
    select(workflows)
    .where(workflows.c.pipeline_id == bindparam("wanted"), workflows.c.waiting == 1)
    .order_by(workflows.c.priority.desc(), workflows.c.number)
    .limit(bindparam("most"))
)
_newest = (
    select(func.max(workflows.c.number).label("number"))
    .where(workflows.c.pipeline_id == bindparam("wanted"), workflows.c.input_file_id > "")
    .group_by(workflows.c.input_file_id)
    .subquery()
)
_NEWEST_BY_FILE = select(workflows.c.input_file_id, workflows.c.id, workflows.c.status).join(
    _newest, workflows.c.number == _newest.c.number
)

_columns = [column.name for column in workflows.c if column.name != "number"]
# SQLite and PostgreSQL agree on this.
_ADD = Statement(
    text(
        f"INSERT INTO workflows ({', '.join(_columns)}) "
        f"VALUES ({', '.join(f':{name}' for name in _columns)}) "
        "ON CONFLICT (dedupe_key) DO NOTHING"
    )
)
_UPDATE = Statement(
    update(workflows)
    .where(workflows.c.id == bindparam("wanted"))
    .values({name: bindparam(f"a_{name}") for name in ("status", "waiting", "priority")})
    .values(updated_at=bindparam("a_updated_at"), state=bindparam("a_state"))
)
# SQLite and PostgreSQL agree on this.
_PUT_ATTEMPT = Statement(
    text(
        "INSERT INTO attempts (workflow_id, step, attempt, kind, finished_at, record) "
        "VALUES (:workflow_id, :step, :attempt, :kind, :finished_at, :record) "
        "ON CONFLICT (workflow_id, step, attempt) DO UPDATE SET "
        "kind = excluded.kind, finished_at = excluded.finished_at, record = excluded.record"
    )
)


class SqlWorkflows:
    """Workflows."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, workflow_id: str) -> StoredWorkflow | None:
        """Return a workflow."""
        row = _GET.first(self._connection, {"wanted": workflow_id})
        return None if row is None else _workflow(row, load(row.state))

    def by_dedupe_key(self, key: str) -> StoredWorkflow | None:
        """Return the workflow that was made under a key."""
        row = _BY_KEY.first(self._connection, {"wanted": key})
        return None if row is None else _workflow(row, load(row.state))

    def page(
        self,
        *,
        pipeline_id: str = "",
        statuses: Sequence[WorkflowStatus] = (),
        since: str = "",
        until: str = "",
        before: int = 0,
        limit: int = 10,
    ) -> Page[StoredWorkflow]:
        """Return workflows without their ``state``, newest first."""
        within = _within(pipeline_id, since, until)
        names = sorted({status.value for status in statuses})
        by_status = workflows.c.status.in_(names) if names else workflows.c.number > 0
        counted = select(func.count()).select_from(workflows).where(*within)
        total = self._connection.execute(counted.where(by_status) if names else counted).scalar()
        if before:
            within.append(workflows.c.number < before)
        rows = self._connection.execute(_part(within, names, limit + 1)).all()
        items = [_workflow(row, {}) for row in rows[:limit]]
        after = items[-1].number if items and len(rows) > limit else 0
        return Page(items, total or 0, after)

    def attempts(self, workflow_id: str) -> Sequence[StoredAttempt]:
        """Return a workflow's finished attempts, by step and attempt."""
        rows = self._connection.execute(_ATTEMPTS, {"wanted": workflow_id})
        return [_attempt(row) for row in rows]

    def in_progress(self, pipeline_id: str) -> int:
        """Return how many workflows of a pipeline are in progress."""
        return _IN_PROGRESS.scalar(self._connection, {"wanted": pipeline_id}) or 0

    def next_waiting(self, pipeline_id: str, *, limit: int) -> Sequence[StoredWorkflow]:
        """Return waiting workflows of a pipeline: higher priority first, then older ones."""
        rows = self._connection.execute(_WAITING, {"wanted": pipeline_id, "most": limit})
        return [_workflow(row, load(row.state)) for row in rows]

    def newest_by_file(self, pipeline_id: str) -> Mapping[str, tuple[str, WorkflowStatus]]:
        """Return id and status of the newest workflow of a pipeline for each input file id."""
        rows = self._connection.execute(_NEWEST_BY_FILE, {"wanted": pipeline_id})
        known = {status.value: status for status in WorkflowStatus}
        return {file_id: (id_, known[status]) for file_id, id_, status in rows}

    def add(self, workflow: StoredWorkflow) -> bool:
        """Store a new workflow; False where there is one with its dedupe key already."""
        return _ADD.run(self._connection, _row(workflow)) > 0

    def update(self, workflow: StoredWorkflow) -> None:
        """Store a workflow's new status and state.

        Raises:
            PlatformError: There is no such workflow.
        """
        given = {
            "wanted": workflow.id,
            "a_status": workflow.status.value,
            "a_waiting": int(workflow.waiting),
            "a_priority": workflow.priority,
            "a_updated_at": workflow.updated_at,
            "a_state": dump(workflow.state),
        }
        if not _UPDATE.run(self._connection, given):
            raise PlatformError(f"there is no workflow '{workflow.id}' to update")

    def add_attempt(self, attempt: StoredAttempt) -> None:
        """Store what came of an attempt; what is stored of the same one is replaced."""
        row = {
            "workflow_id": attempt.workflow_id,
            "step": attempt.step,
            "attempt": attempt.attempt,
            "kind": attempt.kind,
            "finished_at": attempt.finished_at,
            "record": dump(attempt.record),
        }
        _PUT_ATTEMPT.run(self._connection, row)


def _within(pipeline_id: str, since: str, until: str) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if pipeline_id:
        found.append(workflows.c.pipeline_id == pipeline_id)
    if since:
        found.append(workflows.c.created_at >= since)
    if until:
        found.append(workflows.c.created_at < until)
    return found


def _part(within: list[ColumnElement[bool]], statuses: Sequence[str], most: int) -> Any:
    """Return the statement for the newest ones; one part per status, so that each is indexed."""
    wanted: Select[Any] = select(*_listed).where(*within)
    newest = workflows.c.number.desc()
    if not statuses:
        return wanted.order_by(newest).limit(most)
    parts = [
        select(wanted.where(workflows.c.status == status).order_by(newest).limit(most).subquery())
        for status in statuses
    ]
    if len(parts) == 1:
        return parts[0]
    joined = union_all(*parts).subquery()
    return select(joined).order_by(joined.c.number.desc()).limit(most)


def _row(workflow: StoredWorkflow) -> dict[str, Any]:
    return {
        "id": workflow.id,
        "pipeline_id": workflow.pipeline_id,
        "revision": workflow.revision,
        "status": workflow.status.value,
        "waiting": int(workflow.waiting),
        "priority": workflow.priority,
        "dedupe_key": workflow.dedupe_key,
        "input_file_id": workflow.input_file_id,
        "protocol_digest": workflow.protocol_digest,
        "scripts": dump(workflow.scripts),
        "created_at": workflow.created_at,
        "updated_at": workflow.updated_at,
        "state": dump(workflow.state),
    }


def _workflow(row: Any, state: Mapping[str, Any]) -> StoredWorkflow:
    return StoredWorkflow(
        id=row.id,
        pipeline_id=row.pipeline_id,
        revision=row.revision,
        status=WorkflowStatus(row.status),
        waiting=bool(row.waiting),
        priority=row.priority,
        dedupe_key=row.dedupe_key,
        input_file_id=row.input_file_id,
        protocol_digest=row.protocol_digest,
        scripts=tuple(load(row.scripts)),
        created_at=row.created_at,
        updated_at=row.updated_at,
        state=state,
        number=row.number,
    )


def _attempt(row: Row[Any]) -> StoredAttempt:
    return StoredAttempt(
        workflow_id=row.workflow_id,
        step=row.step,
        attempt=row.attempt,
        kind=row.kind,
        record=load(row.record),
        finished_at=row.finished_at,
    )

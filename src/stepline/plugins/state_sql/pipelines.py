"""Pipelines and their revisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from stepline.errors import UserError
from stepline.model.pipeline import (
    Clause,
    Condition,
    Group,
    Operator,
    Pipeline,
    PipelineSpec,
    PipelineStatus,
    Schedule,
    Trigger,
)
from stepline.model.task import Confinement
from stepline.model.workflow import RetryBehavior, RetryPolicy
from stepline.plugins.state_sql.plain import dump, load
from stepline.plugins.state_sql.statements import Statement
from stepline.plugins.state_sql.tables import pipeline_revisions as revisions
from stepline.plugins.state_sql.tables import pipelines

_newest = (revisions.c.id == pipelines.c.id) & (revisions.c.revision == pipelines.c.revision)
_NEWEST = select(revisions).join(pipelines, _newest)
_BY_ID = Statement(_NEWEST.where(pipelines.c.id == bindparam("wanted")))
_BY_NAME = Statement(_NEWEST.where(pipelines.c.name == bindparam("wanted")))
_ALL = Statement(_NEWEST.order_by(pipelines.c.name))
_OF_PIPELINE = select(revisions).where(revisions.c.id == bindparam("wanted"))
_REVISION = Statement(_OF_PIPELINE.where(revisions.c.revision == bindparam("a_revision")))
_REVISIONS = Statement(_OF_PIPELINE.order_by(revisions.c.revision))
_TAKEN = select(pipelines.c.id).where(
    pipelines.c.name == bindparam("a_name"), pipelines.c.id != bindparam("wanted")
)

_POINT = (
    update(pipelines)
    .where(pipelines.c.id == bindparam("wanted"))
    .values(name=bindparam("a_name"), revision=bindparam("a_revision"))
)
_ADD = insert(pipelines)
_CHANGE_STATUS = (
    update(revisions)
    .where(revisions.c.id == bindparam("wanted"), revisions.c.revision == bindparam("a_revision"))
    .values(status=bindparam("a_status"), updated_at=bindparam("at"))
)
_ADD_REVISION = insert(revisions)
_REMOVE = delete(pipelines).where(pipelines.c.id == bindparam("wanted"))


class SqlPipelines:
    """Pipelines."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, name_or_id: str) -> Pipeline | None:
        """Return the newest revision of a pipeline."""
        given = {"wanted": name_or_id}
        row = _BY_ID.first(self._connection, given) or _BY_NAME.first(self._connection, given)
        return None if row is None else _pipeline(row)

    def revision(self, pipeline_id: str, number: int) -> Pipeline | None:
        """Return one revision."""
        given = {"wanted": pipeline_id, "a_revision": number}
        row = _REVISION.first(self._connection, given)
        return None if row is None else _pipeline(row)

    def all(self) -> Sequence[Pipeline]:
        """Return the newest revision of each pipeline, by name."""
        return [_pipeline(row) for row in _ALL.all(self._connection)]

    def revisions(self, pipeline_id: str) -> Sequence[Pipeline]:
        """Return all revisions of a pipeline, oldest first."""
        rows = _REVISIONS.all(self._connection, {"wanted": pipeline_id})
        return [_pipeline(row) for row in rows]

    def put(self, pipeline: Pipeline) -> None:
        """Store a new pipeline or a new revision; the same revision again changes its status.

        Raises:
            UserError: Another pipeline has the name.
        """
        name = pipeline.spec.name
        named = {"wanted": pipeline.id, "a_name": name}
        if self._connection.execute(_TAKEN, named).first():
            raise UserError(f"there is another pipeline '{name}'", hint="give it another name")
        this = {"wanted": pipeline.id, "a_revision": pipeline.revision}
        if not self._connection.execute(_POINT, {**this, "a_name": name}).rowcount:
            row = {"id": pipeline.id, "name": name, "revision": pipeline.revision}
            self._connection.execute(_ADD, row)
        status = {"a_status": pipeline.status.value, "at": pipeline.updated_at}
        if not self._connection.execute(_CHANGE_STATUS, {**this, **status}).rowcount:
            self._connection.execute(_ADD_REVISION, _row(pipeline))

    def delete(self, pipeline_id: str) -> None:
        """Remove a pipeline; revisions stay for the workflows that were made from them."""
        self._connection.execute(_REMOVE, {"wanted": pipeline_id})


def _row(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "id": pipeline.id,
        "revision": pipeline.revision,
        "status": pipeline.status.value,
        "created_at": pipeline.created_at,
        "updated_at": pipeline.updated_at,
        "spec": dump(asdict(pipeline.spec)),
    }


@lru_cache(maxsize=1024)
def _pipeline(row: Any) -> Pipeline:
    """Return the pipeline of a row; the same few are asked for at every event."""
    return Pipeline(
        id=row.id,
        revision=row.revision,
        spec=_spec(load(row.spec)),
        status=PipelineStatus(row.status),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _spec(plain: dict[str, Any]) -> PipelineSpec:
    retry = {**plain["retry"], "behavior": RetryBehavior(plain["retry"]["behavior"])}
    read = {
        "trigger": _trigger(plain["trigger"]),
        "retry": RetryPolicy(**retry),
        "confinement": Confinement.from_plain(plain.get("confinement", {})),
    }
    return PipelineSpec(**{**plain, **read})


def _trigger(plain: Mapping[str, Any]) -> Trigger:
    if "cron" in plain:
        return Schedule(**plain)
    groups = tuple(
        Group(Operator(group["operator"]), tuple(map(_clause, group["clauses"])))
        for group in plain["groups"]
    )
    return Condition(Operator(plain["operator"]), groups)


def _clause(plain: Mapping[str, Any]) -> Clause:
    value = plain["value"]
    # JSON has lists only.
    return Clause(
        plain["key"], plain["operator"], tuple(value) if isinstance(value, list) else value
    )

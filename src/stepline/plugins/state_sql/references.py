"""Who refers to which blob."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select, union

from stepline.model.artifact import ArtifactKind, ArtifactName, BuildStatus
from stepline.plugins.state_sql.records import COLUMNS, record_of
from stepline.plugins.state_sql.tables import artifacts, builds, digests, files
from stepline.ports.state_parts import BlobUsers

_AT_ONCE = 500
_unfinished = builds.c.status == BuildStatus.IN_PROGRESS.value


def _names(column: Any) -> list[Select[Any]]:
    """Return a statement for each table that names blobs; ``column`` limits which."""
    return [
        select(files.c.blob.label("name")).where(column(files.c.blob)).distinct(),
        select(artifacts.c.archive.label("name")).where(column(artifacts.c.archive)),
        select(digests.c.archive.label("name")).where(column(digests.c.archive)),
        select(builds.c.archive.label("name")).where(column(builds.c.archive), _unfinished),
    ]


def _ordered(part: Select[Any]) -> Any:
    """Return the first names of one table; so each table is read no further than needed."""
    return select(part.order_by("name").limit(bindparam("most")).subquery())


_found = union(*map(_ordered, _names(lambda column: column > bindparam("after")))).subquery()
_BLOBS = select(_found.c.name).order_by(_found.c.name).limit(bindparam("most"))
_IN_USE = union(*_names(lambda column: column.in_(bindparam("names", expanding=True))))
_FILES = (
    select(*COLUMNS)
    .where(files.c.blob == bindparam("wanted"))
    .order_by(files.c.number)
    .limit(bindparam("most"))
)
_COUNT = select(func.count()).where(files.c.blob == bindparam("wanted"))
_this = (artifacts.c.kind, artifacts.c.namespace, artifacts.c.slug, artifacts.c.version)
_ARTIFACTS = (
    select(*_this)
    .join(digests, digests.c.digest == artifacts.c.digest)
    .where(
        (artifacts.c.archive == bindparam("wanted")) | (digests.c.archive == bindparam("wanted"))
    )
    .order_by(*_this)
)


class SqlReferences:
    """Which blobs are referred to."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def blobs(self, *, after: str = "", limit: int = 1000) -> Sequence[str]:
        """Return names of blobs behind a name, in order, without doubles."""
        given = {"after": after, "most": limit}
        return list(self._connection.execute(_BLOBS, given).scalars())

    def in_use(self, names: Sequence[str]) -> frozenset[str]:
        """Return those names that something refers to."""
        found: set[str] = set()
        for start in range(0, len(names), _AT_ONCE):
            part = {"names": list(names[start : start + _AT_ONCE])}
            found.update(self._connection.execute(_IN_USE, part).scalars())
        return frozenset(found)

    def users(self, name: str, *, limit: int = 100) -> BlobUsers:
        """Return what refers to a blob; of its file versions, the first ``limit``."""
        rows = self._connection.execute(_FILES, {"wanted": name, "most": limit})
        records = [record_of(row) for row in rows]
        total = self._connection.execute(_COUNT, {"wanted": name}).scalar() or 0
        named = self._connection.execute(_ARTIFACTS, {"wanted": name})
        names = [ArtifactName(ArtifactKind(row[0]), *row[1:]) for row in named]
        return BlobUsers(records, total, names)

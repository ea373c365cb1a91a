"""Published versions, their builds, and the logs of those."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from stepline.model.artifact import Artifact, ArtifactKind, ArtifactName, Build, BuildStatus
from stepline.parsing.versions import Version
from stepline.plugins.state_sql.plain import printable
from stepline.plugins.state_sql.statements import Statement
from stepline.plugins.state_sql.tables import artifacts, build_log, builds, digests

_this = tuple(
    artifacts.c[name] == bindparam(f"a_{name}") for name in ("kind", "namespace", "slug", "version")
)
_GET = select(artifacts).where(*_this)
_CHANGE = update(artifacts).where(*_this)
_ADD = insert(artifacts)
_REMOVE = delete(artifacts).where(*_this)
_ARCHIVE = select(digests.c.archive).where(digests.c.digest == bindparam("a_digest"))
# The newest archive counts: an earlier one of the same content may be damaged by now.
_PUT_DIGEST = Statement(
    text(
        "INSERT INTO digests (digest, archive) VALUES (:digest, :archive) "
        "ON CONFLICT (digest) DO UPDATE SET archive = excluded.archive"
    )
)

_BUILD = select(builds).where(builds.c.id == bindparam("a_build"))
_CHANGE_BUILD = update(builds).where(builds.c.id == bindparam("a_build"))
_ADD_BUILD = insert(builds)
_UNFINISHED = (
    select(builds).where(builds.c.status == BuildStatus.IN_PROGRESS.value).order_by(builds.c.number)
)
_LOG = (
    select(build_log.c.line, build_log.c.at, build_log.c.text)
    .where(build_log.c.build_id == bindparam("a_build"), build_log.c.line > bindparam("after"))
    .order_by(build_log.c.line)
)
_LAST_LINE = select(func.max(build_log.c.line)).where(build_log.c.build_id == bindparam("a_build"))
_ADD_LINES = insert(build_log)


class SqlArtifacts:
    """Published versions and builds."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, name: ArtifactName) -> Artifact | None:
        """Return a published version."""
        row = self._connection.execute(_GET, _name_given(name)).first()
        return None if row is None else _artifact(row)

    def list(
        self, kind: ArtifactKind, *, namespace: str = "", slug: str = ""
    ) -> Sequence[Artifact]:
        """Return published versions, sorted by namespace, slug and order of versions."""
        wanted = select(artifacts).where(artifacts.c.kind == kind.value)
        if namespace:
            wanted = wanted.where(artifacts.c.namespace == namespace)
        if slug:
            wanted = wanted.where(artifacts.c.slug == slug)
        return sorted(map(_artifact, self._connection.execute(wanted)), key=_order)

    def archive_of(self, digest: str) -> str | None:
        """Return the blob of the archive that a digest came from, also of a moved version."""
        found: str | None = self._connection.execute(_ARCHIVE, {"a_digest": digest}).scalar()
        return found

    def build(self, build_id: str) -> Build | None:
        """Return a build."""
        row = self._connection.execute(_BUILD, {"a_build": build_id}).first()
        return None if row is None else _build(row)

    def build_log(self, build_id: str, *, after: int = 0) -> Sequence[tuple[int, str, str]]:
        """Return number, time and text of the lines of a build's log after a number."""
        rows = self._connection.execute(_LOG, {"a_build": build_id, "after": after})
        return [(row.line, row.at, row.text) for row in rows]

    def unfinished_builds(self) -> Sequence[Build]:
        """Return builds in progress, oldest first."""
        return [_build(row) for row in self._connection.execute(_UNFINISHED)]

    def publish(self, artifact: Artifact) -> None:
        """Point a version at a digest; the digest that it had stays known."""
        rest = {
            "digest": artifact.digest,
            "archive": artifact.archive,
            "build_id": artifact.build_id,
            "created_at": artifact.created_at,
            "updated_at": artifact.updated_at,
            "forced": artifact.forced,
        }
        given = _name_given(artifact.name)
        if not self._connection.execute(_CHANGE.values(rest), given).rowcount:
            self._connection.execute(_ADD, {**_name_columns(artifact.name), **rest})
        digest = {"digest": artifact.digest, "archive": artifact.archive}
        _PUT_DIGEST.run(self._connection, digest)

    def delete(self, name: ArtifactName) -> None:
        """Remove a version; its digest stays known."""
        self._connection.execute(_REMOVE, _name_given(name))

    def put_build(self, build: Build) -> None:
        """Store a build, or its new status."""
        rest = {
            **_name_columns(build.name),
            "archive": build.archive,
            "forced": int(build.forced),
            "status": build.status.value,
            "created_at": build.created_at,
            "finished_at": build.finished_at,
            "digest": build.digest,
        }
        given = {"a_build": build.id}
        if not self._connection.execute(_CHANGE_BUILD.values(rest), given).rowcount:
            self._connection.execute(_ADD_BUILD, {"id": build.id, **rest})

    def log_build(self, build_id: str, lines: Sequence[tuple[str, str]]) -> None:
        """Add lines, each with its time, to a build's log."""
        if not lines:
            return
        last = self._connection.execute(_LAST_LINE, {"a_build": build_id}).scalar() or 0
        rows: builtins.list[dict[str, Any]] = [
            {"build_id": build_id, "line": number, "at": at, "text": printable(text)}
            for number, (at, text) in enumerate(lines, last + 1)
        ]
        self._connection.execute(_ADD_LINES, rows)


def _name_columns(name: ArtifactName) -> dict[str, str]:
    return {
        "kind": name.kind.value,
        "namespace": name.namespace,
        "slug": name.slug,
        "version": name.version,
    }


def _name_given(name: ArtifactName) -> dict[str, str]:
    return {f"a_{column}": value for column, value in _name_columns(name).items()}


def _name(row: Row[Any]) -> ArtifactName:
    return ArtifactName(ArtifactKind(row.kind), row.namespace, row.slug, row.version)


def _artifact(row: Row[Any]) -> Artifact:
    return Artifact(
        name=_name(row),
        digest=row.digest,
        archive=row.archive,
        build_id=row.build_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        forced=row.forced,
    )


def _order(artifact: Artifact) -> tuple[Any, ...]:
    name = artifact.name
    version = Version.parse(name.version)
    order = (1, version.order) if version else (0, name.version)
    return (name.namespace, name.slug, order)


def _build(row: Row[Any]) -> Build:
    return Build(
        id=row.id,
        name=_name(row),
        archive=row.archive,
        forced=bool(row.forced),
        status=BuildStatus(row.status),
        created_at=row.created_at,
        finished_at=row.finished_at,
        digest=row.digest,
    )

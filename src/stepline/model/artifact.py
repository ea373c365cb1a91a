"""Artifacts: published task scripts and protocols, and how they were built."""

from __future__ import annotations

from enum import Enum

from stepline.frozen import frozen


class ArtifactKind(str, Enum):
    """Kind of an artifact; the value is its word in the deploy API's paths."""

    TASK_SCRIPT = "task-scripts"
    PROTOCOL = "master-scripts"


@frozen
class ArtifactName:
    """What names one version of an artifact.

    Attributes:
        kind: Task script or protocol.
        namespace: Owner scope.
        slug: Kebab-case name.
        version: ``vX.Y.Z``, with ``-suffix`` for a prerelease.
    """

    kind: ArtifactKind
    namespace: str
    slug: str
    version: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.slug}:{self.version}"


@frozen(kw_only=True)
class Artifact:
    """A published version.

    Attributes:
        name: What names it.
        digest: SHA-256 of its content, ``sha256:<hex>``.
        archive: Blob of the archive that was uploaded.
        build_id: The build that published this digest.
        created_at: When the version was first published, ISO 8601, UTC.
        updated_at: When it was last pointed at a digest.
        forced: How often it was moved to another digest.
    """

    name: ArtifactName
    digest: str
    archive: str
    build_id: str
    created_at: str
    updated_at: str
    forced: int = 0


class BuildStatus(str, Enum):
    """Status of a build."""

    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@frozen(kw_only=True)
class Build:
    """One deploy of one version.

    Attributes:
        id: Identifier that can stand in a URL as it is.
        name: What is deployed.
        archive: Blob of the archive.
        forced: Whether it may move an existing version.
        status: How far it is.
        created_at: ISO 8601, UTC.
        finished_at: ISO 8601, UTC; empty while in progress.
        digest: What was published; empty until then.
    """

    id: str
    name: ArtifactName
    archive: str
    forced: bool
    status: BuildStatus
    created_at: str
    finished_at: str = ""
    digest: str = ""

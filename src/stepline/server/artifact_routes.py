"""Artifacts: deploys as published clients make them, and what is published."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from stepline.app.service.service import Service
from stepline.errors import ArtifactNotFound, UserError
from stepline.model.artifact import Artifact, ArtifactKind, ArtifactName, Build, BuildStatus
from stepline.server.faults import Refused
from stepline.server.parts import TheAccess, TheService
from stepline.server.scratch import scratch_folder
from stepline.server.sending import send_archive
from stepline.server.streams import in_thread, to_file

router = APIRouter(tags=["artifacts"])

_KINDS = {
    "task-scripts": ArtifactKind.TASK_SCRIPT,
    "master-scripts": ArtifactKind.PROTOCOL,
    "protocols": ArtifactKind.PROTOCOL,
}
_OTHER_KINDS = ("ids", "schemas", "tetraflows", "connectors")
_TYPES = {ArtifactKind.TASK_SCRIPT: "task-script", ArtifactKind.PROTOCOL: "protocol"}
_SHOWN_BYTES = 1_000_000
_ONE = "/v1/artifacts/{kind}/{namespace}/{slug}/{version}"
_DEPLOY = "/v1/artifact/{kind}/{namespace}/{slug}/{version}"


async def deployed_name(*, kind: str, namespace: str, slug: str, version: str) -> ArtifactName:
    """Return the name in a path."""
    return ArtifactName(_kind(kind), namespace, slug, version)


async def shown_name(*, kind: str, namespace: str, slug: str, version: str) -> ArtifactName:
    """Return the name in a path that is read; of some kinds nothing can be published."""
    if kind in _OTHER_KINDS:
        raise ArtifactNotFound(f"there is no {kind} {namespace}/{slug}:{version}")
    return ArtifactName(_kind(kind), namespace, slug, version)


Deployed = Annotated[ArtifactName, Depends(deployed_name)]
Shown = Annotated[ArtifactName, Depends(shown_name)]


@router.post(_DEPLOY, openapi_extra={"requestBody": {"content": {"application/zip": {}}}})
async def deploy(
    request: Request,
    service: TheService,
    *,
    access: TheAccess,
    name: Deployed,
    force: bool = False,
) -> dict[str, Any]:
    """Take in an archive and begin to build it."""

    def upload() -> Build:
        common = access.publishes_common(request.headers)
        return service.registry.upload(name, archive, force=force, common=common)

    with scratch_folder(service) as folder:
        archive = folder / "archive.zip"
        await to_file(request, archive)
        build = await in_thread(upload)
    return {"build": {"id": build.id}}


@router.delete(_DEPLOY)
def remove(
    request: Request,
    service: TheService,
    *,
    access: TheAccess,
    name: Deployed,
    force: bool = False,
) -> dict[str, Any]:
    """Remove a published version that nothing uses, or any one."""
    common = access.publishes_common(request.headers)
    return _record(service.delete_artifact(name, force=force, common=common), ())


@router.get("/v1/artifact/builds/{build_id}")
def build(service: TheService, build_id: str) -> dict[str, Any]:
    """Return how far a build is."""
    return {"build": _build(service.registry.build(build_id))}


@router.get("/v1/artifact/build-logs/{build_id}")
def build_log(service: TheService, build_id: str, *, nextToken: str = "") -> dict[str, Any]:
    """Return the lines of a build's log behind a token; all of them, for clients ask once more."""
    if nextToken and not (nextToken.isascii() and nextToken.isdigit()):
        raise Refused(400, "the parameter 'nextToken' is not one that was given")
    after = int(nextToken or 0)
    lines = service.registry.build_log(build_id, after=after)
    events = [{"message": text, "timestamp": _milliseconds(at)} for _, at, text in lines]
    return {"nextToken": str(lines[-1][0] if lines else after), "events": events}


@router.get("/v1/artifacts/{kind}")
@router.get("/v1/artifacts/{kind}/{namespace}")
@router.get("/v1/artifacts/{kind}/{namespace}/{slug}")
def published(
    service: TheService,
    kind: str,
    *,
    namespace: str = "",
    slug: str = "",
    latest_only: bool = False,
    include_prereleases: bool = True,
) -> list[dict[str, Any]]:
    """Return what is published."""
    if kind in _OTHER_KINDS:
        return []
    return _records(
        service,
        _kind(kind),
        namespace=namespace,
        slug=slug,
        latest_only=latest_only,
        prereleases=include_prereleases,
    )


@router.get(_ONE)
def one(service: TheService, name: Shown) -> dict[str, Any]:
    """Return a published version."""
    found = service.registry.get(name)
    versions = service.registry.list(name.kind, namespace=name.namespace, slug=name.slug)
    return _record(found, [each.name.version for each in versions])


@router.get(_ONE + "/relationships")
def relationships(service: TheService, name: Shown) -> dict[str, Any]:
    """Return what uses a version."""
    service.registry.get(name)
    is_script = name.kind is ArtifactKind.TASK_SCRIPT
    users = service.registry.relationships(name) if is_script else ()
    protocols = [
        {"namespace": each.namespace, "slug": each.slug, "version": each.version} for each in users
    ]
    return {"protocols": protocols, "task-scripts": [], "taskScripts": []}


@router.get(_ONE + "/source", response_class=Response)
def source(request: Request, service: TheService, *, name: Shown) -> Response:
    """Return a version's source as an archive."""
    digest = service.registry.get(name).digest
    return send_archive(request, service, digest=digest, name=f"{name.slug}-{name.version}")


@router.get("/v1/sources/{digest}", response_class=Response)
def source_of_digest(request: Request, service: TheService, *, digest: str) -> Response:
    """Return the source of a digest, also of one that no version has any more."""
    return send_archive(request, service, digest=digest, name=digest.replace(":", "-"))


@router.get(_ONE + "/files")
def files(service: TheService, name: Shown) -> list[dict[str, Any]]:
    """Return the names of a version's files."""
    folder = _folder(service, name)
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [{"slug": str(p.relative_to(folder)), "size": p.stat().st_size} for p in found]


@router.get(_ONE + "/files/{path:path}")
def file(service: TheService, name: Shown, *, path: str) -> dict[str, str]:
    """Return the text of one of a version's files."""
    folder = _folder(service, name)
    found = (folder / path).resolve()
    if not found.is_relative_to(folder.resolve()) or not found.is_file():
        raise ArtifactNotFound(f"there is no file '{path}' in this version")
    if found.stat().st_size > _SHOWN_BYTES:
        raise UserError(f"the file '{path}' is too large to be shown", hint="download the source")
    try:
        return {"content": found.read_text(encoding="utf-8")}
    except UnicodeDecodeError:
        raise UserError(f"the file '{path}' is no text", hint="download the source") from None


def _kind(word: str) -> ArtifactKind:
    if word in _KINDS:
        return _KINDS[word]
    if word in _OTHER_KINDS:
        raise UserError(
            f"artifacts of the kind '{word}' cannot be published here",
            hint="publish task scripts and protocols",
        )
    raise ArtifactNotFound(f"there is no kind of artifact '{word}'")


def _folder(service: Service, name: ArtifactName) -> Path:
    return service.registry.folder(service.registry.get(name).digest)


def _records(
    service: Service,
    kind: ArtifactKind,
    *,
    namespace: str,
    slug: str,
    latest_only: bool,
    prereleases: bool,
) -> list[dict[str, Any]]:
    found = service.registry.list(kind, namespace=namespace, slug=slug, prereleases=prereleases)
    groups: dict[tuple[str, str], list[Artifact]] = {}
    for each in found:
        groups.setdefault((each.name.namespace, each.name.slug), []).append(each)
    records = []
    for group in groups.values():
        versions = [each.name.version for each in group]
        shown = group[-1:] if latest_only else group
        records += [_record(each, versions) for each in shown]
    return records


def _record(artifact: Artifact, versions: Sequence[str]) -> dict[str, Any]:
    name = artifact.name
    return {
        "type": _TYPES[name.kind],
        "namespace": name.namespace,
        "slug": name.slug,
        "version": name.version,
        "hash": artifact.digest,
        "createdAt": artifact.created_at,
        "lastUpdatedAt": artifact.updated_at,
        "moved": artifact.forced,
        "buildId": artifact.build_id,
        "otherVersions": list(versions),
    }


def _build(found: Build) -> dict[str, Any]:
    name = found.name
    return {
        "id": found.id,
        "buildComplete": found.status is not BuildStatus.IN_PROGRESS,
        "buildStatus": found.status.value,
        "type": _TYPES[name.kind],
        "namespace": name.namespace,
        "slug": name.slug,
        "version": name.version,
        "hash": found.digest,
        "createdAt": found.created_at,
        "finishedAt": found.finished_at,
    }


def _milliseconds(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp() * 1000)

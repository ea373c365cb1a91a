"""``stepline common``: the ready-made task scripts and protocols that travel with Stepline."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stepline import settings
from stepline.cli.client import Answered, path_of
from stepline.cli.connection import names_service
from stepline.cli.display import printable
from stepline.cli.session import Plain, Session, connection_options, service_command
from stepline.errors import PlatformError, SettingsError
from stepline.frozen import frozen
from stepline.model.artifact import ArtifactKind
from stepline.model.protocol import COMMON

if TYPE_CHECKING:
    from stepline.app.common import Shipped

_TYPES = {ArtifactKind.TASK_SCRIPT: "task-script", ArtifactKind.PROTOCOL: "protocol"}
_NOTHING = "no artifact travels with this version"
_FAILED = 1
_REFUSED = 2


@click.group("common")
def command() -> None:
    """Publish, list and copy the task scripts and protocols that travel with Stepline."""


@frozen
class Outcome:
    """What became of publishing one artifact.

    Attributes:
        artifact: The artifact.
        status: ``published``, ``present``, ``failed`` or ``refused``.
        why: Why it is not published.
        build: Id of its build; empty if there was none.
    """

    artifact: Shipped
    status: str
    why: str = ""
    build: str = ""

    @property
    def exit_code(self) -> int:
        """The command's exit code for it, the same as that of ``put``."""
        return {"failed": _FAILED, "refused": _REFUSED}.get(self.status, 0)

    def line(self) -> str:
        """Return it for people."""
        words = {"present": "was there already", "failed": "failed: ", "refused": "refused: "}
        said = words.get(self.status, self.status)
        return printable(f"{self.artifact.name} {said}{self.why}")

    def plain(self) -> Plain:
        """Return it for programs."""
        build = {"build": {"id": self.build}} if self.build else {}
        return {**_plain(self.artifact), "status": self.status, "message": self.why, **build}


@command.command("install")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--force", "-f", is_flag=True, help="Move versions that have other content.")
@connection_options
@service_command
def install(session: Session, *, names: tuple[str, ...], force: bool) -> int:
    """Publish what travels with Stepline in the namespace common, as put does.

    All of it, or the artifacts of the slugs NAME and the task scripts that they use. It takes
    an administrator's token. What is published already with the same content is left alone.
    """
    chosen = _chosen(names)
    if not chosen:
        session.show([], _NOTHING)
        return 0
    published = _published(session)
    outcomes = []
    for each in chosen:
        outcomes.append(_install(session, each, force=force, published=published))
        if not session.json_output:
            click.echo(outcomes[-1].line())
    if session.json_output:
        session.show([each.plain() for each in outcomes])
    return max(each.exit_code for each in outcomes)


@command.command("list")
@service_command
def list_common(session: Session) -> None:
    """List what travels with Stepline and, where a service is known, what it has of that."""
    published = _published_if_known(session)
    items = [_listed(each, published) for each in _chosen(())]
    state = ("published",) if published is not None else ()
    rows = [
        (
            each["type"],
            f"{COMMON}/{each['slug']}:{each['version']}",
            *(each[key] for key in (*state, "description")),
        )
        for each in items
    ]
    titles = ("TYPE", "NAME", *map(str.upper, state), "DESCRIPTION")
    session.table(items, titles, rows=rows, empty=_NOTHING)


@command.command("copy")
@click.argument("name")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--namespace", default=COMMON, metavar="NAMESPACE", help="Owner scope of the copies.")
def copy(name: str, folder: Path, *, namespace: str) -> None:
    """Copy the artifacts of the slug NAME, and the task scripts that they use, into DIR.

    DIR is a project: they come into task-scripts/ and protocols/ in it.
    """
    from stepline.app.common_copies import copy_artifacts

    cache_dir = settings.cache_dir(os.environ)
    copies = copy_artifacts(_chosen([name]), folder, namespace=namespace, cache_dir=cache_dir)
    for each in copies:
        click.echo(printable(os.path.join(each, "")))


def _chosen(names: Sequence[str]) -> list[Shipped]:
    from stepline.app.common import choose, shipped

    return choose(shipped(settings.cache_dir(os.environ)), names)


def _published_if_known(session: Session) -> dict[tuple[str, str, str], str] | None:
    """Return what a service has; None if none is known, or one that was not named is silent."""
    if session.names_service:
        return _published(session)
    if not names_service(os.environ):
        return None
    try:
        return _published(session)
    except (PlatformError, SettingsError) as error:
        click.echo(f"warning: it is not known what is published: {printable(error)}", err=True)
        return None


def _published(session: Session) -> dict[tuple[str, str, str], str]:
    """Return the digests of what a service has in the namespace, by type, slug and version."""
    records: list[Plain] = []
    for kind in ArtifactKind:
        records += session.client.get(path_of("artifacts", kind.value, COMMON))
    return {(str(r["type"]), str(r["slug"]), str(r["version"])): str(r["hash"]) for r in records}


def _key(artifact: Shipped) -> tuple[str, str, str]:
    return _TYPES[artifact.name.kind], artifact.name.slug, artifact.name.version


def _install(
    session: Session,
    artifact: Shipped,
    *,
    force: bool,
    published: dict[tuple[str, str, str], str],
) -> Outcome:
    """Publish one artifact; what a service says of it is its outcome."""
    from stepline.app.common import digest_of
    from stepline.cli.builds import follow_build
    from stepline.cli.put import deploy

    if not force and published.get(_key(artifact)) == digest_of(artifact):
        return Outcome(artifact, "present")
    name = artifact.name
    words = (name.kind.value, name.namespace, name.slug, name.version)
    try:
        build = deploy(session, words, folder=artifact.folder, force=force)
    except Answered as error:
        hint = f" ({error.hint})" if error.hint else ""
        return Outcome(artifact, "refused", f"{error.what}{hint}")
    if follow_build(session, build, aside=True) == "SUCCEEDED":
        return Outcome(artifact, "published", build=build)
    return Outcome(artifact, "failed", f"see stepline artifact log {build}", build)


def _listed(artifact: Shipped, published: dict[tuple[str, str, str], str] | None) -> Plain:
    if published is None:
        return _plain(artifact)
    from stepline.app.common import digest_of

    digest = published.get(_key(artifact), "")
    known = "yes" if digest == digest_of(artifact) else "other content" if digest else "no"
    return {**_plain(artifact), "published": known}


def _plain(artifact: Shipped) -> Plain:
    kind, slug, version = _key(artifact)
    about = {"type": kind, "namespace": COMMON, "slug": slug, "version": version}
    return {**about, "description": artifact.description, "folder": str(artifact.folder)}

"""``stepline put``: publish a task script or a protocol, and see it built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stepline.cli.builds import follow_build
from stepline.cli.client import path_of
from stepline.cli.session import Session, connection_options, service_command

KINDS = {"task-script": "task-scripts", "protocol": "master-scripts"}


@click.command("put")
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("namespace")
@click.argument("slug")
@click.argument("version")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--force", "-f", is_flag=True, help="Move a version that exists to this content.")
@connection_options
@service_command
def command(
    session: Session,
    *,
    kind: str,
    namespace: str,
    slug: str,
    version: str,
    folder: Path,
    force: bool,
) -> int:
    """Publish FOLDER as NAMESPACE/SLUG:VERSION, and follow its build to the end.

    Exits with 1 if the build failed. Ctrl-C ends the command and not the build.
    """
    slug = slug.lower()
    version = version if version.startswith("v") else f"v{version}"
    build_id = deploy(session, (KINDS[kind], namespace, slug, version), folder=folder, force=force)
    status = follow_build(session, build_id)
    name = f"{namespace}/{slug}:{version}"
    result: dict[str, Any] = {
        "type": kind,
        "namespace": namespace,
        "slug": slug,
        "version": version,
        "build": {"id": build_id, "status": status},
    }
    published = status == "SUCCEEDED"
    session.show(result, f"{name} is published" if published else f"the build of {name} failed")
    return 0 if published else 1


def deploy(
    session: Session, name: tuple[str, str, str, str], *, folder: Path, force: bool = False
) -> str:
    """Send a folder to be published, and return the id of its build.

    Args:
        session: The service.
        name: Word of the kind in paths, namespace, slug and version.
        folder: The folder.
        force: Whether to move a version that exists.

    Raises:
        SteplineError: As `Client.send`.
    """
    params = {"force": "true"} if force else {}
    content = _archive(folder)
    answer = session.client.send("POST", path_of("artifact", *name), content=content, params=params)
    return str(answer["build"]["id"])


def _archive(folder: Path) -> bytes:
    """Return a folder as an archive, which has at most 50 MiB."""
    import tempfile

    from stepline.app.archives import pack

    with tempfile.TemporaryDirectory(prefix="stepline-put-") as scratch:
        archive = Path(scratch, "archive.zip")
        pack(folder, archive)
        return archive.read_bytes()

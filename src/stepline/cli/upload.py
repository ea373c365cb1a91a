"""``stepline upload``: files in, and what they start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stepline.cli.client import path_of
from stepline.cli.display import printable
from stepline.cli.session import Plain, Session, service_command
from stepline.cli.transfers import upload_file
from stepline.cli.upload_progress import upload_progress
from stepline.cli.words import pairs_of, path_shown
from stepline.errors import SettingsError

TRIES = 8
_STARTED = ("fired", "paused", "error", "loop", "duplicate")


@click.command("upload")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option("--source-type", metavar="TYPE", help="Kind of what the files come from.")
@click.option("--source-id", metavar="ID", help="What the files come from; part of their keys.")
@click.option("--source-name", metavar="NAME", help="Its name for people.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Label.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Tag.")
@click.option("--meta", multiple=True, metavar="KEY=VALUE", help="Custom metadata.")
@click.option("--path", "to", metavar="PATH", help="Path of the file; a folder if it ends in /.")
@click.option(
    "--tries",
    type=click.IntRange(1, 1000),
    default=TRIES,
    show_default=True,
    help="How often in a row the connection may break.",
)
@service_command
def command(
    session: Session,
    *,
    files: tuple[Path, ...],
    source_type: str | None,
    source_id: str | None,
    source_name: str | None,
    labels: tuple[str, ...],
    tags: tuple[str, ...],
    meta: tuple[str, ...],
    to: str | None,
    tries: int,
) -> None:
    """Store FILES, and print which pipelines they start.

    A file of over 8 MiB is sent in parts, and goes on where it was when a connection breaks.
    What arrives is verified by its SHA-256. On a terminal it is shown how far a file is.
    """
    given = {
        "sourceType": source_type,
        "sourceId": source_id,
        "sourceName": source_name,
        "labels": [{"name": n, "value": v} for n, v in pairs_of(labels, option="--label")],
        "tags": list(tags),
        "metadata": _metadata(meta),
    }
    given = {key: value for key, value in given.items() if value}
    sent = []
    for path, target in zip(files, _targets(files, to), strict=True):
        about = {**given, "path": target}
        with upload_progress(path.name, size=path.stat().st_size) as told:
            info = upload_file(session.client, path, about=about, tries=tries, told=told)
        sent.append({**info, "decisions": _decisions(session, info)})
        if not session.json_output:
            _print(sent[-1])
    if session.json_output:
        session.show({"files": sent})


def _metadata(words: tuple[str, ...]) -> dict[str, str]:
    pairs = pairs_of(words, option="--meta")
    found = dict(pairs)
    if len(found) < len(pairs):
        raise SettingsError("a key of --meta is given twice")
    return found


def _targets(files: tuple[Path, ...], to: str | None) -> list[str]:
    """Return the path that each file will have."""
    if to and not to.endswith("/"):
        if len(files) > 1:
            raise SettingsError(
                f"--path {to} names one file, and there are {len(files)}",
                hint=f"write --path {to}/ for a folder",
            )
        return [to]
    targets = [f"{to or ''}{path.name}" for path in files]
    if double := next((each for each in targets if targets.count(each) > 1), None):
        raise SettingsError(
            f"two of the files would have the path {double}", hint="upload them one by one"
        )
    return targets


def _decisions(session: Session, info: Plain) -> list[Plain]:
    answer = session.client.get(path_of("files", str(info["fileId"]), "explain"))
    return list(answer["items"])


def _print(sent: dict[str, Any]) -> None:
    click.echo(f"{sent['fileId']}  {path_shown(sent)}")
    shown = [each for each in sent["decisions"] if each["decision"] in _STARTED]
    for each in shown:
        workflow = f"workflow {each['workflowId']}" if each["workflowId"] else each["reason"]
        click.echo(f"  {each['decision']}: {printable(each['pipelineName'])}: {workflow}")
    if not shown:
        click.echo(f"  no pipeline fired; see: stepline explain {sent['fileId']}")

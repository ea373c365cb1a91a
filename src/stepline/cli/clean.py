"""``stepline clean``: room on the disk, from what nobody needs any more."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from stepline.cli.home import AUTH_FILE
from stepline.cli.lines import failure, lines_of
from stepline.cli.session import Plain, Session, service_command
from stepline.cli.times import moment
from stepline.cli.words import size_shown
from stepline.errors import SettingsError

_NAMES = {
    "uploads": "uploads that were given up",
    "logs": "logs of attempts",
    "environments": "environments",
    "code": "copies of artifacts",
    "blobs": "blobs of files and archives",
}


def _home_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let the service be named by its folder, too. To stand above `service_command`."""

    @wraps(function)
    def command(*, home: Path | None, config_file: Path | None, **words: Any) -> Any:
        if home is not None and config_file is not None:
            raise SettingsError("--home and --config both name a service", hint="give one of them")
        return function(config_file=home / AUTH_FILE if home else config_file, **words)

    option = click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Folder of the service, instead of its auth.json.",
    )
    return option(command)


@click.command("clean")
@click.option(
    "--older-than",
    "before",
    type=moment,
    metavar="TIME",
    default="30d",
    show_default=True,
    help="What counts as old: 30d, 12h, or what was before a date.",
)
@click.option("--dry-run", is_flag=True, help="Remove nothing; tell what would be.")
@_home_option
@service_command
def command(session: Session, *, before: str, dry_run: bool) -> None:
    """Remove what nobody needs any more from a service, which goes on meanwhile.

    That are old logs of workflows that have ended, environments and copies of artifacts
    that nothing uses, uploads that were given up, and bytes that nothing refers to. Files,
    workflows and decisions stay.
    """
    body = {"before": before, "dryRun": dry_run}
    lines = lines_of(session.client, "upkeep/clean", body=body)
    items = [line for line in lines if "kind" in line]
    session.table(
        {"dryRun": dry_run, "items": items},
        ("WHAT", "COUNT", "SIZE"),
        rows=[_row(item) for item in items],
        empty="",
    )
    size = sum(item.get("bytes", 0) for item in items)
    if not session.json_output:
        click.echo(f"{'it would free' if dry_run else 'freed'} {size_shown(size)}")
    if failed := [item for item in items if "error" in item]:
        raise failure(str(failed[0]["error"]))


def _row(item: Plain) -> tuple[str, str, str]:
    name = _NAMES.get(item["kind"]) or str(item["kind"])
    if "error" in item:
        return name, "?", "not known"
    return name, str(item["count"]), size_shown(item["bytes"])

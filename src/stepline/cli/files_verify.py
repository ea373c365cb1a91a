"""``stepline files verify``: whether the bytes of stored files are there, and whole."""

from __future__ import annotations

import sys

import click

from stepline.cli.display import printable
from stepline.cli.file_names import file_named
from stepline.cli.lines import lines_of
from stepline.cli.session import Plain, Session, service_command
from stepline.cli.words import path_shown

_EXIT_DAMAGED = 1


@click.command("verify")
@click.argument("files", nargs=-1)
@service_command
def verify_files(session: Session, *, files: tuple[str, ...]) -> int:
    """Read the bytes of FILES, or of all that is stored, and name what is damaged.

    A file is named by its id, or by its path, which means the newest version. Without any,
    all versions are read, and the archives of what is published. It ends with 1 if
    something is damaged or missing.
    """
    ids = [str(file_named(session, name)["fileId"]) for name in files]
    found: list[Plain] = []
    checked = 0
    for line in lines_of(session.client, "upkeep/verify", body={"fileIds": ids}):
        checked = line.get("checked", checked)
        if "problem" in line:
            found.append(line)
            _tell(session, line)
        _progress(checked)
    _progress(None)
    what = f"{len(found)} damaged or missing" if found else "all whole"
    session.show(
        {"checked": checked, "problems": found},
        f"{checked} {'blob was' if checked == 1 else 'blobs were'} read: {what}",
    )
    return _EXIT_DAMAGED if found else 0


def _tell(session: Session, line: Plain) -> None:
    """Say what is wrong with a blob, and whose bytes it has; JSON is shown at the end."""
    if session.json_output:
        return
    _progress(None)
    click.echo(f"{printable(line['problem'])}: {line['blob']}")
    for info in line["files"]:
        version = printable(info["file"]["version"])
        click.echo(f"  {path_shown(info)}  version {version}  id {printable(info['fileId'])}")
    more = line["filesTotal"] - len(line["files"])
    if more > 0:
        click.echo(f"  and {more} more file versions")
    for each in line["artifacts"]:
        click.echo(f"  {printable(each['name'])}, as published")


def _progress(checked: int | None) -> None:
    """Show on a terminal how many were read; None takes that away."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + ("" if checked is None else f"{checked} read"))
        sys.stderr.flush()

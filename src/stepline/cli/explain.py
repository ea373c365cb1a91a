"""``stepline explain``: why something ran, or did not."""

from __future__ import annotations

from typing import Any

import click

from stepline.cli.client import Answered, path_of
from stepline.cli.display import printable
from stepline.cli.file_names import find_file, is_sendable, places_on_disk, shortened_name
from stepline.cli.session import Plain, Session, service_command
from stepline.cli.times import shown
from stepline.cli.words import path_shown
from stepline.errors import SettingsError

_NOT_THERE = 404


@click.command("explain")
@click.argument("target")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="Most decisions for a pipeline.",
)
@service_command
def command(session: Session, *, target: str, limit: int) -> None:
    """Tell why something ran or did not.

    TARGET is a pipeline, by its name or id, or a file, by its id, its path in the service, or
    its path on disk in a watched folder, where it need not be any more. Each line is one
    decision, with the clause of the condition that decided.
    """
    pipeline = _pipeline(session, target)
    if pipeline is not None:
        path = path_of("pipelines", pipeline["id"], "explain")
        _print_pipeline(session, pipeline, session.client.get(path, limit=limit))
        return
    info = find_file(session, target, disk=places_on_disk(target))
    if info is None:
        raise SettingsError(
            f"there is no pipeline and no file '{shortened_name(target)}'",
            hint="see stepline pipeline list and stepline files list",
        )
    answer = session.client.get(path_of("files", info["fileId"], "explain"))
    _print_file(session, info, answer)


def _pipeline(session: Session, name: str) -> Any:
    """Return a pipeline by its name or id, None if there is none."""
    if not is_sendable(name):
        return None
    try:
        return session.client.get(path_of("pipeline", name))
    except Answered as error:
        if error.status != _NOT_THERE:
            raise
        return None


def _print_pipeline(session: Session, pipeline: Plain, answer: Plain) -> None:
    rows = [
        (shown(each["at"]), each["event"], _what(each), *_file(each), _reason(each))
        for each in answer["items"]
    ]
    status = pipeline.get("status")
    said = f"; it is {status}" if status else ""
    session.table(
        {"pipeline": pipeline["name"], "status": status or "enabled", **answer},
        ("WHEN", "EVENT", "DECISION", "FILE", "FILE ID", "REASON"),
        rows=rows,
        empty=f"nothing was decided for {printable(pipeline['name'])} yet{said}",
    )
    if rows and said and not session.json_output:
        click.echo(f"the pipeline {printable(pipeline['name'])} is {status}", err=True)


def _print_file(session: Session, info: Plain, answer: Plain) -> None:
    if not session.json_output:
        click.echo(f"{info['fileId']}  {path_shown(info)}", err=True)
    rows = [
        (shown(each["at"]), each["event"], _what(each), each["pipelineName"], _reason(each))
        for each in answer["items"]
    ]
    temporary = info.get("category") == "TMP"
    why = "files of category TMP start none" if temporary else "none was enabled when it came"
    session.table(
        {"file": info, **answer},
        ("WHEN", "EVENT", "DECISION", "PIPELINE", "REASON"),
        rows=rows,
        empty=f"no pipeline was asked: {why}",
    )


def _what(decision: Plain) -> str:
    return str(decision["decision"])


def _file(decision: Plain) -> tuple[str, str]:
    return path_shown(decision) or "-", str(decision.get("fileId") or "-")


def _reason(decision: Plain) -> str:
    workflow = decision.get("workflowId")
    reason = str(decision["reason"])
    return f"{reason} (workflow {workflow})" if workflow else reason

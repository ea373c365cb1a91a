"""``stepline explain``: why something ran, or did not."""

from __future__ import annotations

from typing import Any

import click

from stepline.cli.client import Answered, path_of
from stepline.cli.display import printable
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

    TARGET is a file, by its id or path, or a pipeline, by its name or id. Each line is one
    decision, with the clause of the condition that decided.
    """
    pipeline = _found(session, "pipeline", target)
    if pipeline is not None:
        path = path_of("pipelines", pipeline["id"], "explain")
        _print_pipeline(session, pipeline, session.client.get(path, limit=limit))
        return
    info = _found(session, "fileinfo", target) or _by_path(session, target)
    answer = session.client.get(path_of("files", info["fileId"], "explain"))
    _print_file(session, info, answer)


def _found(session: Session, kind: str, name: str) -> Any:
    """Return a pipeline or a file by its name, None if there is none."""
    try:
        return session.client.get(path_of(kind, name))
    except Answered as error:
        if error.status != _NOT_THERE:
            raise
        return None


def _by_path(session: Session, path: str) -> Plain:
    """Return the newest version of the file that a path means.

    Raises:
        SettingsError: There is none, or there are several.
    """
    page = session.client.get("files", prefix=path, limit=1)
    if page["items"] and path_shown(page["items"][0]) == path:
        return dict(page["items"][0])
    ends = {"wildcard": {"filePath": f"*/{_literal(path)}"}}
    query = {"bool": {"should": [{"term": {"filePath": path}}, ends]}}
    answer = session.client.send("POST", "files/searchEql", body={"query": query, "size": 5})
    hits = answer["hits"]["hits"]
    if not hits:
        raise SettingsError(
            f"there is no pipeline and no file '{printable(path)}'",
            hint="see stepline pipeline list and stepline files list",
        )
    if len(hits) > 1:
        ids = ", ".join(str(hit["_id"]) for hit in hits)
        raise SettingsError(
            f"several files have the path '{printable(path)}'", hint=f"name one by its id: {ids}"
        )
    return dict(session.client.get(path_of("fileinfo", hits[0]["_id"])))


def _literal(path: str) -> str:
    """Return a path in which nothing is a pattern."""
    return path.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def _print_pipeline(session: Session, pipeline: Plain, answer: Plain) -> None:
    rows = [
        (shown(each["at"]), each["event"], _what(each), _file(each), _reason(each))
        for each in answer["items"]
    ]
    status = pipeline.get("status")
    said = f"; it is {status}" if status else ""
    session.table(
        {"pipeline": pipeline["name"], "status": status or "enabled", **answer},
        ("WHEN", "EVENT", "DECISION", "FILE", "REASON"),
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


def _file(decision: Plain) -> str:
    return str(decision.get("filePath") or decision.get("fileId") or "-")


def _reason(decision: Plain) -> str:
    workflow = decision.get("workflowId")
    reason = str(decision["reason"])
    return f"{reason} (workflow {workflow})" if workflow else reason

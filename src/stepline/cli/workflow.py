"""``stepline workflow``: what ran, runs, and waits; its logs; again, or no more."""

from __future__ import annotations

from typing import Any

import click

from stepline.cli.client import path_of
from stepline.cli.display import lines_of, printable, show_fields
from stepline.cli.session import Plain, Session, service_command
from stepline.cli.times import moment, shown
from stepline.cli.tracebacks import MOST_MESSAGE_LINES, first_lines, shortened
from stepline.cli.words import path_shown

STATUSES = ("pending", "in-progress", "completed", "failed", "cancelled")
ENDED = ("completed", "failed", "cancelled")
_UNSUCCESSFUL = ("failed", "cancelled")
_PAGE = 1000
_SHOWN_CHARACTERS = 2000


@click.group("workflow")
def command() -> None:
    """List workflows, show them and their logs, retry and cancel them."""


@command.command("list")
@click.option("--pipeline", metavar="NAME", help="Only those of this pipeline.")
@click.option("--status", type=click.Choice(STATUSES), help="Only those with this status.")
@click.option(
    "--since", type=moment, metavar="TIME", help="Only those made since then: 7d, 12h, a date."
)
@click.option("--until", type=moment, metavar="TIME", help="Only those made before then.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=20,
    show_default=True,
    help="Most workflows.",
)
@service_command
def list_workflows(
    session: Session,
    *,
    pipeline: str | None,
    status: str | None,
    since: str | None,
    until: str | None,
    limit: int,
) -> None:
    """List workflows, newest first."""
    wanted: dict[str, Any] = {
        "pipelineId": pipeline,
        "filter": status,
        "startTime": since,
        "endTime": until,
    }
    items: list[Plain] = []
    after: int | None = None
    while len(items) < limit:
        part = min(limit - len(items), _PAGE)
        page = session.client.get("workflow/search", size=part, after=after, **wanted)
        items += page["hits"]
        after = page["after"]
        if not page["hasNext"] or not after:
            break
    answer = {"items": items, "total": page["totalCount"]}
    rows = [
        (each["id"], _status(each), each["pipelineName"], shown(each["createdAt"]))
        for each in items
    ]
    titles = ("ID", "STATUS", "PIPELINE", "CREATED")
    session.table(answer, titles, rows=rows, empty="no workflows")
    if answer["total"] > len(items):
        click.echo(f"… and {answer['total'] - len(items)} more; see --limit", err=True)


@command.command("show")
@click.argument("workflow_id", metavar="ID")
@click.option("--full", is_flag=True, help="Show tracebacks, messages and outputs whole.")
@service_command
def show_workflow(session: Session, *, workflow_id: str, full: bool) -> None:
    """Show the workflow ID: its steps, why it failed, what it read first and what it wrote."""
    found = session.client.get(path_of("workflow", workflow_id))
    if session.json_output:
        session.show(found)
        return
    show_fields(_fields(found, full=full))
    for task in found["tasks"]:
        for line in _task_lines(task, full=full):
            click.echo(line)
    if files := found.get("files"):
        click.echo("files that it wrote:")
        for each in files:
            click.echo(f"  {each['fileId']}  {path_shown(each)}")


@command.command("logs")
@click.argument("workflow_id", metavar="ID")
@click.option("--follow", "-f", is_flag=True, help="Go on until the workflow has ended.")
@click.option("--step", metavar="STEP", help="Only of this step, by its id or number from 1.")
@service_command
def logs(session: Session, *, workflow_id: str, follow: bool, step: str | None) -> int:
    """Print what the tasks of the workflow ID printed.

    With --json each line is a JSON object. With --follow the exit code is 1 if the workflow
    failed or was cancelled.
    """
    from stepline.cli.workflow_log import WorkflowLog

    status = WorkflowLog(session, workflow_id, step=step).show(follow=follow)
    if follow and status in _UNSUCCESSFUL:
        hint = f"see stepline workflow show {printable(workflow_id)}"
        click.echo(f"the workflow is {status}: {hint}", err=True)
    return 1 if follow and status in _UNSUCCESSFUL else 0


@command.command("retry")
@click.argument("workflow_id", metavar="ID")
@service_command
def retry(session: Session, *, workflow_id: str) -> None:
    """Let the failed or cancelled workflow ID go on from the step that ended it."""
    answer = session.client.send("POST", path_of("workflow", workflow_id, "retry"))
    session.show(answer, f"the workflow {printable(workflow_id)} goes on: {_status(answer)}")


@command.command("cancel")
@click.argument("workflow_id", metavar="ID")
@click.option("--reason", metavar="TEXT", help="Why; it is kept with the workflow.")
@service_command
def cancel(session: Session, *, workflow_id: str, reason: str | None) -> None:
    """End the workflow ID; what its finished steps wrote stays."""
    body = {"reason": reason} if reason else None
    answer = session.client.send("POST", path_of("workflow", workflow_id, "cancel"), body=body)
    session.show(answer, f"the workflow {printable(workflow_id)} is {_status(answer)}")


def _status(found: Plain) -> str:
    return f"{found['status']}, waiting" if found.get("waiting") else str(found["status"])


def _fields(found: Plain, *, full: bool) -> list[tuple[str, Any]]:
    source = found.get("inputFile") or {}
    names = [found.get(f"masterScript{part}", "") for part in ("Namespace", "Slug", "Version")]
    return [
        ("workflow", found["id"]),
        ("status", _status(found)),
        ("pipeline", f"{found['pipelineName']}, revision {found['pipelineRevision']}"),
        ("protocol", "{}/{}:{}".format(*names)),
        ("input", _input(source)),
        ("created", shown(found["createdAt"])),
        ("changed", shown(found["lastUpdatedAt"])),
        *_output(found.get("output"), full=full),
    ]


def _input(source: Plain) -> str:
    key = str(source.get("fileKey", ""))
    return f"{key.partition('/')[2]} ({source.get('fileId')})" if key else ""


def _output(output: Any, *, full: bool) -> list[tuple[str, Any]]:
    if not isinstance(output, dict):
        return []
    name = "error" if output.get("type") == "error" else "output"
    lines = lines_of(output.get("error" if name == "error" else "result"))
    text = "\n".join(lines if full else first_lines(lines, MOST_MESSAGE_LINES))
    if len(text) > _SHOWN_CHARACTERS and not full:
        text = f"{text[:_SHOWN_CHARACTERS]}… see --full"
    return [(name, text)]


def _task_lines(task: Plain, *, full: bool) -> list[str]:
    """Return a step and its attempts as lines."""
    script = str((task.get("script") or {}).get("name", ""))
    head = f"step {task['step'] + 1}: {task['name']}  {task['status']}  {script}"
    lines = [printable(head)]
    for each in task.get("attempts", ()):
        first, *further = _message_lines(each, full=full)
        lines.append(f"  attempt {each['attempt']}: {each['kind']}{first and ': '}{first}")
        lines += [f"    {line}" for line in further]
        if traceback := str(each.get("traceback") or ""):
            ends = "\n".join(traceback.split("\n") if full else shortened(traceback))
            lines += [f"    {line}".rstrip() for line in lines_of(ends)]
    return lines


def _message_lines(attempt: Plain, *, full: bool) -> list[str]:
    """Return an attempt's message; where a traceback ends with it, its first line will do."""
    lines = lines_of(attempt.get("message"))
    if full:
        return lines
    return lines[:1] if attempt.get("traceback") else first_lines(lines, MOST_MESSAGE_LINES)

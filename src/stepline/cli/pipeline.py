"""``stepline pipeline``: what runs on which files; set from a file, shown, paused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stepline.cli.client import path_of
from stepline.cli.display import printable, show_fields
from stepline.cli.session import Plain, Session, service_command
from stepline.cli.times import shown
from stepline.cli.words import path_shown
from stepline.errors import Location, SettingsError

_DONE = {"enabled": "resumed", "paused": "paused", "disabled": "disabled"}


@click.group("pipeline")
def command() -> None:
    """Set, show, pause and delete pipelines."""


@command.command("apply")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--plan", is_flag=True, help="Store nothing; show what would fire on stored files.")
@service_command
def apply_pipeline(session: Session, *, file: Path, plan: bool) -> None:
    """Store the pipeline in FILE, or a new revision of the one with its name."""
    kind = "application/json" if file.suffix == ".json" else "application/yaml"
    answer = session.client.send(
        "PUT",
        "pipelines",
        content=_read(file),
        headers={"content-type": kind},
        params={"file": str(file), "plan": "true" if plan else ""},
    )
    if plan:
        _show_plan(session, answer)
        return
    text = f"the pipeline {_name(answer)} is stored, revision {answer['revision']}"
    status = answer.get("status")
    session.show(answer, f"{text}; it is {status}" if status else text)


@command.command("list")
@service_command
def list_pipelines(session: Session) -> None:
    """List the pipelines."""
    answer = session.client.get("pipelines")
    rows = [
        (each["name"], _status(each), f"revision {each['revision']}", _protocol(each))
        for each in answer["items"]
    ]
    titles = ("NAME", "STATUS", "REVISION", "PROTOCOL")
    session.table(answer, titles, rows=rows, empty="no pipelines")


@command.command("show")
@click.argument("name")
@service_command
def show_pipeline(session: Session, *, name: str) -> None:
    """Show the pipeline NAME, which may be its id."""
    found = session.client.get(path_of("pipeline", name))
    if session.json_output:
        session.show(found)
        return
    show_fields(_fields(found))


@command.command("pause")
@click.argument("name")
@service_command
def pause_pipeline(session: Session, *, name: str) -> None:
    """Let the pipeline NAME queue what it would start, until it is resumed."""
    _set_status(session, name, status="paused")


@command.command("resume")
@click.argument("name")
@service_command
def resume_pipeline(session: Session, *, name: str) -> None:
    """Enable the pipeline NAME again; what it queued starts."""
    _set_status(session, name, status="enabled")


@command.command("disable")
@click.argument("name")
@service_command
def disable_pipeline(session: Session, *, name: str) -> None:
    """Let the pipeline NAME start nothing; events meanwhile are not made up for."""
    _set_status(session, name, status="disabled")


@command.command("delete")
@click.argument("name")
@service_command
def delete_pipeline(session: Session, *, name: str) -> None:
    """Delete the pipeline NAME; its workflows stay."""
    session.client.send("DELETE", path_of("pipelines", name))
    session.show({"deleted": name}, f"the pipeline {printable(name)} is deleted")


def _set_status(session: Session, name: str, *, status: str) -> None:
    session.client.send("POST", path_of("pipeline", name, "status"), body={"status": status})
    session.show(
        {"name": name, "status": status}, f"the pipeline {printable(name)} is {_DONE[status]}"
    )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"the file cannot be read: {error.strerror}", where=Location(str(file))
        ) from error


def _show_plan(session: Session, answer: Plain) -> None:
    rows = [
        (each["decision"], path_shown(each["file"]), each["reason"]) for each in answer["wouldFire"]
    ]
    titles = ("DECISION", "FILE", "REASON")
    session.table(answer, titles, rows=rows, empty="no stored file would fire it")
    more = answer["total"] - len(rows)
    if more > 0:
        click.echo(f"… and {more} files more", err=True)
    if not session.json_output:
        click.echo(f"nothing was stored; it would fire on {answer['total']} stored files", err=True)


def _fields(found: Plain) -> list[tuple[str, Any]]:
    behavior, most = found["retryBehavior"], found["retryConfiguration"]["maxRetries"]
    trigger = found.get("triggerCondition")
    return [
        ("name", found["name"]),
        ("id", found["id"]),
        ("status", _status(found)),
        ("revision", f"{found['revision']} of {shown(found.get('updatedAt'))}"),
        ("description", found.get("description", "")),
        ("protocol", _protocol(found)),
        *_trigger(trigger),
        *((f"config {key}", value) for key, value in found["pipelineConfig"].items()),
        ("priority", found["priority"]),
        ("parallel", found["maxParallelWorkflows"] or "any number of workflows"),
        ("retry", behavior if behavior == "off" else f"{behavior}, at most {most} times"),
    ]


def _trigger(tree: Any) -> list[tuple[str, Any]]:
    """Return a trigger as lines: a clause each."""
    if not isinstance(tree, dict) or not tree:
        return [("trigger", "nothing; it starts on request")]
    if "cron" in tree:
        return [("trigger", f"{tree['cron']} ({tree.get('tz', 'UTC')})")]
    return [("trigger", _condition(tree))]


def _condition(tree: Plain) -> str:
    if "key" in tree:
        value = tree.get("value")
        texts = value if isinstance(value, list) else [] if value is None else [value]
        return " ".join((tree["key"], tree["operator"], ", ".join(map(str, texts)))).rstrip()
    parts = tree.get("groups", ())
    word = f" {str(tree.get('groupOperator', 'AND')).lower()} "
    several = len(parts) > 1
    return word.join(
        f"({_condition(each)})" if several and len(each.get("groups", ())) > 1 else _condition(each)
        for each in parts
    )


def _name(found: Plain) -> str:
    return printable(found["name"])


def _status(found: Plain) -> str:
    return str(found.get("status") or "enabled")


def _protocol(found: Plain) -> str:
    namespace, slug, version = (
        found[f"masterScript{part}"] for part in ("Namespace", "Slug", "Version")
    )
    return f"{namespace}/{slug}:{version}"

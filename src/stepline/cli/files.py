"""``stepline files``: what is stored: listed, found, fetched, labelled, deleted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from stepline.cli.client import path_of
from stepline.cli.display import printable, show_fields
from stepline.cli.file_names import file_named
from stepline.cli.files_verify import verify_files
from stepline.cli.session import Plain, Session, service_command
from stepline.cli.times import shown
from stepline.cli.transfers import PART_BYTES, download_file, stream_file
from stepline.cli.words import pairs_of, path_shown, size_shown
from stepline.errors import SettingsError

TRIES = 8
_PAGE = 1000
_USUAL = 100
_WINDOW = 10_000
_SEARCH = """write '{"query": {"match_all": {}}}'"""
_TITLES = ("ID", "CREATED", "SIZE", "FILE")


@click.group("files")
def command() -> None:
    """List, find, fetch, verify, label and delete stored files."""


command.add_command(verify_files)


@command.command("list")
@click.argument("prefix", default="")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=_USUAL,
    show_default=True,
    help="Most files.",
)
@service_command
def list_files(session: Session, *, prefix: str, limit: int) -> None:
    """List the newest versions of files, those whose names begin with PREFIX.

    A name is source id, category and path, as in upload/RAW/run42.json.
    """
    items: list[Plain] = []
    after = total = 0
    while len(items) < limit:
        part = min(limit - len(items), _PAGE)
        page = session.client.get("files", prefix=prefix, limit=part, after=after or None)
        items += page["items"]
        after, total = page["after"], page["total"]
        if not after:
            break
    answer = {"items": items, "total": total}
    session.table(answer, _TITLES, rows=map(_row, items), empty="no files")
    if total > len(items):
        click.echo(f"… and {total - len(items)} more; see --limit", err=True)


@command.command("show")
@click.argument("name", metavar="FILE")
@service_command
def show_file(session: Session, *, name: str) -> None:
    """Show what is known about FILE, an id or a path."""
    info = file_named(session, name)
    versions = session.client.get(path_of("files", info["fileId"], "versions"))["items"]
    if session.json_output:
        session.show({**info, "versions": versions})
        return
    show_fields(_fields(info))
    if len(versions) > 1:
        click.echo("\nversions, oldest first:")
        for each in versions:
            click.echo(f"  {each['fileId']}  {shown(each['createdAt'])}")


@command.command("download")
@click.argument("name", metavar="FILE")
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), metavar="FILE", help="Where to; - for output."
)
@click.option(
    "--tries",
    type=click.IntRange(1, 1000),
    default=TRIES,
    show_default=True,
    help="How often in a row the connection may break.",
)
@service_command
def download(session: Session, *, name: str, out: Path | None, tries: int) -> None:
    """Fetch the bytes of FILE, an id or a path; they are verified by their SHA-256."""
    info = file_named(session, name)
    if out is not None and str(out) == "-":
        stream_file(session.client, info, output=sys.stdout.buffer, tries=tries)
        sys.stdout.buffer.flush()
        return
    target = _target(info, out)
    with _bar(info, session) as bar:
        advance = (lambda count: None) if bar is None else bar.update
        download_file(session.client, info, target=target, tries=tries, advance=advance)
    session.show({"fileId": info["fileId"], "path": str(target)}, printable(str(target)))


@command.command("search")
@click.option("--query", "-q", metavar="JSON", help="The search; else read from standard input.")
@click.option(
    "--limit",
    type=click.IntRange(1, _WINDOW),
    help="Most files; by default the search's size, else 100.",
)
@service_command
def search(session: Session, *, query: str | None, limit: int | None) -> None:
    """Find files by a search of the form that functions use."""
    text = sys.stdin.read() if query is None else query
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(
            f"the search is not valid JSON: {error}",
            hint=_SEARCH,
        ) from error
    if not isinstance(body, dict):
        raise SettingsError("the search is no JSON object", hint=_SEARCH)
    body = {**body, "size": limit or body.get("size", _USUAL)}
    answer = session.client.send("POST", "files/searchEql", body=body)
    hits = answer["hits"]["hits"]
    rows = [_row({"fileId": hit["_id"], **hit.get("_source", {})}) for hit in hits]
    session.table(answer, _TITLES, rows=rows, empty="nothing was found")
    total = answer["hits"]["total"]["value"]
    more = total - len(hits) - body.get("from", 0)
    if more > 0:
        click.echo(f"… and {more} more, of {total} in all; see --limit", err=True)


@command.command("label")
@click.argument("name", metavar="FILE")
@click.argument("action", type=click.Choice(["add", "remove"]), metavar="ACTION")
@click.argument("labels", nargs=-1, required=True)
@click.option("--silent", is_flag=True, help="Start no pipeline by it.")
@service_command
def label(
    session: Session, *, name: str, action: str, labels: tuple[str, ...], silent: bool
) -> None:
    """Add LABELS to FILE, an id or a path, or remove them, by ACTION add or remove.

    Each is NAME=VALUE; to remove, a NAME alone means all labels of that name.
    """
    path = path_of("files", file_named(session, name)["fileId"], "labels")
    quiet = "true" if silent else ""
    if action == "add":
        pairs = [{"name": n, "value": v} for n, v in pairs_of(labels, option="the label")]
        answer = session.client.send("POST", path, body=pairs, params={"noPropagate": quiet})
    else:
        ids = _label_ids(session.client.get(path), labels)
        params = {"id": ids, "noPropagate": quiet}
        answer = session.client.send("DELETE", path, params=params)
    rows = [(each["name"], each["value"]) for each in answer]
    session.table(answer, ("LABEL", "VALUE"), rows=rows, empty="the file has no labels")


@command.command("delete")
@click.argument("name", metavar="FILE")
@service_command
def delete_file(session: Session, *, name: str) -> None:
    """Hide FILE, an id or a path; what was made from it keeps its record and bytes."""
    info = file_named(session, name)
    file_id, path = info["fileId"], path_shown(info)
    if name not in (file_id, path, info["filePath"]):
        raise SettingsError(
            f"'{printable(name)}' is but the end of {path}",
            hint=f"to delete it, give its whole path or its id, {file_id}",
        )
    session.client.send("DELETE", path_of("files", file_id))
    session.show({"deleted": file_id}, f"the file {path} ({file_id}) is deleted")


@command.command("provenance")
@click.argument("name", metavar="FILE")
@service_command
def provenance(session: Session, *, name: str) -> None:
    """Show how FILE, an id or a path, came to be, back to the files that arrived."""
    tree = session.client.get(path_of("files", file_named(session, name)["fileId"], "provenance"))
    session.show(tree, *_origin(tree, depth=0))


def _row(info: Plain) -> tuple[Any, ...]:
    size = info.get("size")
    return (
        info.get("fileId", ""),
        shown(info.get("createdAt")),
        "" if size is None else size_shown(int(size)),
        path_shown(info),
    )


def _fields(info: Plain) -> list[tuple[str, Any]]:
    source = info.get("source") or {}
    names = [source.get("id"), source.get("type"), source.get("name")]
    return [
        ("id", info["fileId"]),
        ("file", path_shown(info)),
        ("category", info["category"]),
        ("size", f"{info['size']} bytes"),
        ("sha256", info.get("sha256", "")),
        ("created", shown(info["createdAt"])),
        ("source", ", ".join(str(name) for name in names if name)),
        ("IDS", info.get("ids") or ""),
        ("tags", ", ".join(info.get("tags", ()))),
        *((f"metadata {key}", value) for key, value in info.get("metadata", {}).items()),
        *((f"label {each['name']}", each["value"]) for each in info.get("labels", ())),
    ]


def _target(info: Plain, out: Path | None) -> Path:
    if out is not None:
        return out / _name(info) if out.is_dir() else out
    target = Path(_name(info))
    if target.exists():
        raise SettingsError(f"{target} is there already", hint="add --out FILE to replace it")
    return target


def _name(info: Plain) -> str:
    """Return a file's name, which cannot lead out of a folder."""
    name = Path(str(info["filePath"])).name
    return name if name not in ("", ".", "..") else str(info["fileId"])


def _bar(info: Plain, session: Session) -> Any:
    """Return a drawn progress of a large file where somebody looks, else nothing."""
    size = int(info["size"])
    if size <= PART_BYTES or session.json_output or not sys.stderr.isatty():
        return nullcontext()
    return click.progressbar(length=size, label=printable(_name(info)), file=sys.stderr)


def _label_ids(present: Iterable[Plain], words: Iterable[str]) -> list[int]:
    """Return the ids of the labels that words mean."""
    labels = list(present)
    ids: list[int] = []
    for word in words:
        name, equals, value = word.partition("=")
        found = [
            each["id"]
            for each in labels
            if each["name"] == name and (not equals or each["value"] == value)
        ]
        if not found:
            names = ", ".join(f"{each['name']}={each['value']}" for each in labels) or "none"
            raise SettingsError(f"the file has no label {word}", hint=f"it has: {names}")
        ids += found
    return ids


def _origin(node: Plain, *, depth: int) -> list[str]:
    indent = "  " * depth
    key = printable(str(node["fileKey"]).partition("/")[2])
    lines = [f"{indent}{node['fileId']}  {key}"]
    if workflow := node.get("workflow"):
        scripts = ", ".join(step["taskScript"].partition("@")[0] for step in workflow["steps"])
        lines.append(f"{indent}  by workflow {workflow['workflowId']}, {printable(scripts)}, from")
    for each in node.get("from", ()):
        lines += _origin(each, depth=depth + 2)
    return lines

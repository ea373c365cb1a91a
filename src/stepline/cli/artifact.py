"""``stepline artifact``: published task scripts and protocols."""

from __future__ import annotations

from pathlib import Path

import click

from stepline.cli.builds import follow_build
from stepline.cli.client import path_of
from stepline.cli.display import printable, show_fields
from stepline.cli.put import KINDS
from stepline.cli.session import Plain, Session, service_command
from stepline.cli.times import shown
from stepline.errors import Location, PlatformError, SettingsError

_DIGEST = "sha256:"


@click.group("artifact")
def command() -> None:
    """Show, fetch and delete published task scripts and protocols."""


@command.command("list")
@click.option("--type", "kind", type=click.Choice(list(KINDS)), help="Only these.")
@click.option("--namespace", metavar="NAMESPACE", help="Only of this owner scope.")
@click.option("--latest", is_flag=True, help="Only the newest version of each.")
@service_command
def list_artifacts(
    session: Session, *, kind: str | None, namespace: str | None, latest: bool
) -> None:
    """List published versions."""
    items: list[Plain] = []
    for each in [kind] if kind else KINDS:
        path = path_of("artifacts", KINDS[each], *([namespace] if namespace else []))
        items += session.client.get(path, latest_only="true" if latest else "")
    rows = [
        (_kind(each), _name(each), _digest(each), shown(each["lastUpdatedAt"])) for each in items
    ]
    titles = ("TYPE", "NAME", "DIGEST", "PUBLISHED")
    session.table(items, titles, rows=rows, empty="nothing is published")


@command.command("show")
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("name")
@service_command
def show_artifact(session: Session, *, kind: str, name: str) -> None:
    """Show one version, NAME being NAMESPACE/SLUG:VERSION."""
    path = _path(kind, name)
    record = dict(session.client.get(path_of("artifacts", *path)))
    if kind == "task-script":
        record["relationships"] = session.client.get(path_of("artifacts", *path, "relationships"))
    if session.json_output:
        session.show(record)
        return
    users = record.get("relationships", {}).get("protocols", [])
    show_fields(
        [
            ("name", _name(record)),
            ("type", _kind(record)),
            ("digest", record["hash"]),
            ("published", shown(record["createdAt"])),
            ("changed", f"{record['moved']} times, last {shown(record['lastUpdatedAt'])}")
            if record.get("moved")
            else ("changed", ""),
            ("build", record.get("buildId", "")),
            ("versions", ", ".join(record.get("otherVersions") or ())),
            ("used by", ", ".join(map(_name, users))),
        ]
    )


@command.command("source")
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("name")
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), metavar="FILE", help="Where to; a zip archive."
)
@service_command
def source(session: Session, *, kind: str, name: str, out: Path | None) -> None:
    """Fetch the content of NAME, NAMESPACE/SLUG:VERSION or a digest sha256:…, as an archive."""
    if name.startswith(_DIGEST):
        path, target = path_of("sources", name), Path(f"{name.removeprefix(_DIGEST)[:12]}.zip")
    else:
        _, _, slug, version = parts = _path(kind, name)
        path, target = path_of("artifacts", *parts, "source"), Path(f"{slug}-{version}.zip")
    target = out or target
    if out is None and target.exists():
        raise SettingsError(f"{target} is there already", hint="add --out FILE to replace it")
    _fetch(session, path, target)
    session.show({"name": name, "path": str(target)}, printable(str(target)))


@command.command("log")
@click.argument("build_id", metavar="BUILD")
@service_command
def log(session: Session, *, build_id: str) -> int:
    """Print the log of BUILD, to its last line; exits with 1 if the build failed."""
    status = follow_build(session, build_id)
    session.show({"build": {"id": build_id, "status": status}}, f"the build {status.lower()}")
    return 0 if status == "SUCCEEDED" else 1


@command.command("delete")
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("name")
@click.option("--force", "-f", is_flag=True, help="Also one that a pipeline or protocol uses.")
@service_command
def delete_artifact(session: Session, *, kind: str, name: str, force: bool) -> None:
    """Delete one version; workflows that were made with it go on."""
    path = path_of("artifact", *_path(kind, name))
    session.client.send("DELETE", path, params={"force": "true"} if force else None)
    session.show({"deleted": name}, f"{printable(name)} is deleted")


def _path(kind: str, name: str) -> tuple[str, str, str, str]:
    """Return the parts of the path that NAMESPACE/SLUG:VERSION has."""
    left, _, version = name.partition(":")
    namespace, _, slug = left.partition("/")
    if not (namespace and slug and version):
        raise SettingsError(
            f"{name} names no version",
            hint="write NAMESPACE/SLUG:VERSION, as in private-demo/a:v1.0.0",
        )
    return KINDS[kind], namespace, slug, version


def _fetch(session: Session, path: str, target: Path) -> None:
    part = target.with_name(f".{target.name}.part")
    try:
        with session.client.stream(path, headers={}) as response, part.open("wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
        part.replace(target)
    except OSError as error:
        raise PlatformError(
            f"the archive cannot be written: {error.strerror}", where=Location(str(target))
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _name(record: Plain) -> str:
    return printable(f"{record['namespace']}/{record['slug']}:{record['version']}")


def _kind(record: Plain) -> str:
    return str(record["type"])


def _digest(record: Plain) -> str:
    return str(record["hash"]).removeprefix(_DIGEST)[:12]

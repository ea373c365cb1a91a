"""``stepline image``: images of task scripts, built, tried out, pushed and removed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stepline.cli.display import show_fields, show_json, show_table
from stepline.cli.words import size_shown
from stepline.errors import SettingsError, SteplineError, UserError

if TYPE_CHECKING:
    from stepline.cli.image_tools import ImageTools
    from stepline.model.image import Image, ImageBuild

SHOWN_DIGITS = 12
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_KEPT = "kept"
_WITHOUT = {
    "published": "delete the version in the registry, or add --no-service",
    "running": "wait for its tasks, or end them",
    "tagged": "remove the tag, with `docker rmi TAG`",
}


@click.group("image")
def command() -> None:
    """Build, test, show, push and remove images of task scripts."""


@command.command("build")
@click.argument("folder", type=_FOLDER)
@click.option("--json", "json_output", is_flag=True, help="Print JSON.")
def build_image(folder: Path, json_output: bool) -> None:
    """Build the image of the task script in FOLDER, or find it built."""
    with _tools() as tools:
        image = tools.build_checked(folder)
        if json_output:
            show_json(_plain(tools.images.get(image.id), image))
        else:
            click.echo(f"{image.id}  {size_shown(image.size)}, Python {image.runtime}")


@command.command("test")
@click.argument("folder", type=_FOLDER)
@click.option("--local", is_flag=True, help="On this machine's Python, not inside the image.")
@click.option("--pdb", is_flag=True, help="Stop in a debugger where a test fails.")
@click.option("-k", "only", metavar="EXPRESSION", default="", help="Only tests with such names.")
def test_image(folder: Path, *, local: bool, pdb: bool, only: str) -> int:
    """Run the tests of the task script in FOLDER inside its image.

    Exits with 1 if one fails, or there is none.
    """
    from stepline.app.images.testing import Choice, test_in_image, test_on_machine

    if pdb:
        _need_terminal("--pdb")
    with _tools() as tools:
        choice = Choice(only=only, debugger=pdb, show=click.echo)
        if local:
            code = test_on_machine(folder, choice, bench=tools.bench)
        else:
            code = test_in_image(tools.pin(folder), choice, folder=folder, bench=tools.bench)
    return min(code, 1)


@command.command("shell")
@click.argument("folder", type=_FOLDER)
def open_shell(folder: Path) -> int:
    """Open a shell inside the image of the task script in FOLDER, as a task sees it."""
    from stepline.app.images import testing

    _need_terminal("a shell")
    with _tools() as tools:
        return testing.open_shell(tools.pin(folder), folder=folder, bench=tools.bench)


@command.command("list")
@click.option("--json", "json_output", is_flag=True, help="Print JSON.")
def list_images(json_output: bool) -> None:
    """List the images of this machine, oldest first."""
    with _tools() as tools:
        builds = tools.images.builds()
        if json_output:
            show_json({"images": [_plain(build, build.image) for build in builds]})
            return
        rows = [
            (
                _short(build.image),
                build.name,
                f"python{build.image.runtime}",
                size_shown(build.image.size),
                f"{build.base.removeprefix('sha256:')[:SHOWN_DIGITS]} ({build.base_source})",
                build.made_at[:16].replace("T", " "),
                tools.tested(build.image.id),
            )
            for build in builds
        ]
    titles = ("ID", "TASK SCRIPT", "RUNTIME", "SIZE", "BASE", "MADE", "TESTS")
    show_table(titles, rows, empty="no images; `stepline image build` makes one")


@command.command("inspect")
@click.argument("image", metavar="IMAGE")
@click.option("--sbom", is_flag=True, help="Print the software in it, as CycloneDX JSON.")
@click.option("--json", "json_output", is_flag=True, help="Print JSON.")
def inspect_image(image: str, *, sbom: bool, json_output: bool) -> None:
    """Show an image: IMAGE is its id, or the folder or the name of its task script."""
    import json

    with _tools() as tools:
        build = tools.find(image)
        if sbom:
            click.echo(tools.images.sbom(build.image))
            return
        config = json.loads(build.image.config)["config"]
        if json_output:
            lock = {"lock": build.lock, "hookOutput": build.hook_output}
            show_json({**_plain(build, build.image), "config": config, **lock})
            return
        tested = tools.tested(build.image.id)
    _show_build(build, config, tested=tested)


@command.command("push")
@click.argument("image", metavar="IMAGE")
@click.argument("reference")
@click.option("--force", is_flag=True, help="Move a release tag; that is recorded.")
@click.option("--untested", is_flag=True, help="Also an image whose tests did not pass.")
def push_image(image: str, reference: str, *, force: bool, untested: bool) -> None:
    """Send an image to a registry, as REFERENCE: REGISTRY/REPOSITORY:TAG.

    IMAGE is its id, or the folder or the name of its task script.
    """
    with _tools() as tools:
        build = tools.find(image)
        pushed = tools.push(build, reference, force=force, untested=untested)
    if pushed.moved_from:
        click.echo(f"moved {reference} from {pushed.moved_from}", err=True)
    click.echo(f"{reference}@{pushed.digest}" if pushed.sent else f"{pushed.digest} was there")


def _kept_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say who is asked what is to be kept."""
    options = [
        click.option(
            "--config",
            "-c",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="auth.json of the service whose published versions are kept.",
        ),
        click.option("--no-service", is_flag=True, help="Keep no published versions."),
        click.option("--no-engine", is_flag=True, help="Ask no container engine what it holds."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@command.command("prune")
@click.option("--dry-run", is_flag=True, help="Remove nothing; tell what would be.")
@_kept_options
@click.option("--json", "json_output", is_flag=True, help="Print JSON.")
def prune_images(
    *, dry_run: bool, config: Path | None, no_service: bool, no_engine: bool, json_output: bool
) -> None:
    """Remove images without a tag, a published version or a container, and old containers."""
    with _tools() as tools:
        pruned = tools.prune(config, no_service=no_service, no_engine=no_engine, dry_run=dry_run)
    if json_output:
        items = [{"id": each.build.image.id, _KEPT: each.kept} for each in pruned.fates]
        show_json({"dryRun": dry_run, "freedBytes": pruned.freed_bytes, "images": items})
        return
    gone = "would be removed" if dry_run else "removed"
    rows = [
        (_short(each.build.image), each.build.name, f"{_KEPT}: {each.kept}" if each.kept else gone)
        for each in pruned.fates
    ]
    show_table(("ID", "TASK SCRIPT", "WHAT"), rows, empty="no images")
    if not dry_run:
        click.echo(f"{size_shown(pruned.freed_bytes)} freed")


@command.command("remove")
@click.argument("image", metavar="IMAGE")
@_kept_options
def remove_image(image: str, *, config: Path | None, no_service: bool, no_engine: bool) -> None:
    """Remove one image, unless it is tagged, published or runs.

    IMAGE is its id, or the folder or the name of its task script.
    """
    with _tools() as tools:
        build = tools.find_made(image)
        only = build.image.id
        done = tools.prune(config, no_service=no_service, no_engine=no_engine, only=only)
    for fate in done.fates:
        if fate.kept:
            hint = _WITHOUT.get(fate.kept.partition(" ")[0], "")
            raise UserError(f"{only} is not removed: it is {fate.kept}", hint=hint)
    click.echo(f"removed {_short(build.image)}, {size_shown(done.freed_bytes)} freed")


@contextmanager
def _tools() -> Iterator[ImageTools]:
    from stepline.cli.image_tools import ImageTools
    from stepline.cli.interrupts import interruptible

    with interruptible():
        tools = ImageTools(os.environ, lambda line: click.echo(line, err=True))
        try:
            yield tools
        except SteplineError as error:
            tools.authored.mend(error)
            raise
        finally:
            tools.close()


def _need_terminal(what: str) -> None:
    if not os.isatty(0) or not os.isatty(1):
        raise SettingsError(f"{what} takes a terminal", hint="type it in one, without a pipe")


def _show_build(build: ImageBuild, config: dict[str, Any], *, tested: str) -> None:
    image = build.image
    show_fields(
        [
            ("id", image.id),
            ("task script", build.name),
            ("content", build.script),
            ("runtime", f"python{image.runtime}"),
            ("size", size_shown(image.size)),
            ("base", f"{build.base} ({build.base_source})"),
            ("made", build.made_at),
            ("tests", tested),
        ]
    )
    click.echo("\nlayers")
    layers = ((layer.kind.value, size_shown(layer.size), layer.digest) for layer in image.layers)
    show_table(("KIND", "SIZE", "DIGEST"), layers, empty="")
    _section("parts", build.parts)
    _section("labels", config.get("Labels") or {})
    if build.lock:
        click.echo(f"\nlock\n{build.lock.rstrip()}")


def _section(title: str, values: Any) -> None:
    if values:
        click.echo(f"\n{title}")
        show_table(("NAME", "VALUE"), sorted(values.items()), empty="")


def _short(image: Image) -> str:
    return image.id.removeprefix("sha256:")[:SHOWN_DIGITS]


def _plain(build: ImageBuild | None, image: Image) -> dict[str, Any]:
    known: dict[str, Any] = {}
    if build is not None:
        known = {
            "name": build.name,
            "script": build.script,
            "base": build.base,
            "baseSource": build.base_source,
            "madeAt": build.made_at,
            "parts": dict(build.parts),
        }
    return {
        "id": image.id,
        "runtime": f"python{image.runtime}",
        "size": image.size,
        "layers": [layer.to_plain() for layer in image.layers],
        **known,
    }

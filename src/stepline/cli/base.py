"""``stepline base``: base images, which the images of task scripts stand on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from stepline.cli.display import show_json, show_table
from stepline.cli.home import read_settings_file
from stepline.cli.words import size_shown

if TYPE_CHECKING:
    from stepline.model.image import BaseImage
    from stepline.ports.images import Images

SHOWN_DIGITS = 12


@click.group("base")
def command() -> None:
    """Build, list and remove base images."""


@command.command("build")
@click.argument("suite")
@click.option("--hook", is_flag=True, help="Also the one that hooks run in.")
@click.option("--json", "json_output", is_flag=True, help="Print JSON.")
def build_base(suite: str, *, hook: bool, json_output: bool) -> None:
    """Build a base image of the Debian packages of SUITE, as they are now."""
    from stepline.model.image import BaseVariant

    images = _images()
    variants = [BaseVariant.SLIM, *([BaseVariant.HOOK] if hook else [])]
    built = [images.build_base(suite, variant, tell=_tell) for variant in variants]
    _show(built, json_output=json_output)


@command.command("list")
@click.option("--json", "json_output", is_flag=True, help="Print JSON.")
def list_bases(json_output: bool) -> None:
    """List the base images of this machine, oldest first."""
    _show(_images().bases(), json_output=json_output)


@command.command("remove")
@click.argument("base_id", metavar="ID")
def remove_base(base_id: str) -> None:
    """Remove the base image whose id starts with ID, unless an image is made of it."""
    freed = _images().remove_base(base_id)
    click.echo(f"removed; {size_shown(freed)} freed")


def _images() -> Images:
    from stepline import settings
    from stepline.bootstrap import Plugins

    own = read_settings_file(os.environ)
    return Plugins(settings.cache_dir(os.environ), os.environ, own).images()


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _show(bases: Sequence[BaseImage], *, json_output: bool) -> None:
    if json_output:
        show_json({"bases": [_plain(base) for base in bases]})
        return
    titles = ("ID", "RUNTIME", "VARIANT", "SIZE", "MADE", "SOURCE")
    rows = [
        (
            base.image.id.removeprefix("sha256:")[:SHOWN_DIGITS],
            f"python{base.image.runtime}",
            base.variant.value,
            size_shown(base.image.size),
            base.made_at[:16].replace("T", " "),
            base.source,
        )
        for base in bases
    ]
    show_table(titles, rows, empty="no base images; `stepline base build` makes one")


def _plain(base: BaseImage) -> dict[str, Any]:
    return {
        "id": base.image.id,
        "runtime": f"python{base.image.runtime}",
        "variant": base.variant.value,
        "size": base.image.size,
        "madeAt": base.made_at,
        "source": base.source,
        "layers": [layer.digest for layer in base.image.layers],
    }

"""``stepline schema``: print a JSON Schema, which editors check and complete with."""

from __future__ import annotations

from pathlib import Path

import click

KINDS = ("protocol", "config", "manifest")


@click.command("schema")
@click.argument("kind", type=click.Choice(KINDS))
def command(kind: str) -> None:
    """Print the JSON Schema of protocol.yml, config.json or manifest.json."""
    import stepline.parsing

    path = Path(stepline.parsing.__file__).with_name("schemas") / f"{kind}.schema.json"
    click.echo(path.read_text(encoding="utf-8"), nl=False)

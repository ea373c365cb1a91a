"""``stepline setting``: shared settings, plain values that pipelines reuse."""

from __future__ import annotations

import json

import click

from stepline.cli.client import path_of
from stepline.cli.session import Session, service_command
from stepline.errors import SettingsError


@click.group("setting")
def command() -> None:
    """Set, list and delete shared settings."""


@command.command("set")
@click.argument("name")
@click.argument("value")
@click.option("--as-json", is_flag=True, help="VALUE is JSON: a number, a list, an object.")
@service_command
def set_setting(session: Session, *, name: str, value: str, as_json: bool) -> None:
    """Let the shared setting NAME have VALUE, for workflows that start from now on."""
    content = _parsed(value) if as_json else value
    session.client.send("PUT", path_of("settings", name), body={"value": content})
    session.show({"name": name, "value": content}, f"the shared setting {name} is set")


@command.command("list")
@service_command
def list_settings(session: Session) -> None:
    """List the shared settings with their values."""
    answer = session.client.get("settings")
    rows = [(each["name"], each["value"]) for each in answer["items"]]
    session.table(answer, ("NAME", "VALUE"), rows=rows, empty="no shared settings")


@command.command("delete")
@click.argument("name")
@service_command
def delete_setting(session: Session, *, name: str) -> None:
    """Delete the shared setting NAME; refused while a pipeline uses it."""
    session.client.send("DELETE", path_of("settings", name))
    session.show({"deleted": name}, f"the shared setting {name} is deleted")


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(
            f"VALUE is not valid JSON: {error}", hint="leave --as-json out for plain text"
        ) from error

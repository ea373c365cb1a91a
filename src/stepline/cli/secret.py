"""``stepline secret``: values that nobody sees again. None of them is ever a word of a command."""

from __future__ import annotations

import sys

import click

from stepline.cli.client import path_of
from stepline.cli.session import Session, service_command
from stepline.cli.times import shown
from stepline.errors import SettingsError
from stepline.ports.secrets import LONGEST_VALUE, check_secret_name, check_secret_value


@click.group("secret")
def command() -> None:
    """Set, list and delete secrets."""


@command.command("set")
@click.argument("name")
@service_command
def set_secret(session: Session, *, name: str) -> None:
    """Store the secret NAME: asked for unseen, or read from standard input."""
    from stepline.app.masking import remember_for_reports

    check_secret_name(name)
    client = session.client  # before anybody types in vain
    value = _value(name)
    remember_for_reports(value)
    check_secret_value(name, value)
    answer = client.send("PUT", path_of("secrets", name), body={"value": value})
    session.show(answer, f"the secret {name} is stored, version {answer['version']}")


@command.command("list")
@service_command
def list_secrets(session: Session) -> None:
    """List names and last changes of the secrets, never values."""
    answer = session.client.get("secrets")
    rows = [
        (each["name"], f"version {each['version']}", shown(each["updatedAt"]))
        for each in answer["items"]
    ]
    session.table(answer, ("NAME", "VERSION", "CHANGED"), rows=rows, empty="no secrets")


@command.command("delete")
@click.argument("name")
@service_command
def delete_secret(session: Session, *, name: str) -> None:
    """Delete the secret NAME."""
    session.client.send("DELETE", path_of("secrets", name))
    session.show({"deleted": name}, f"the secret {name} is deleted")


def _value(name: str) -> str:
    """Return what is typed unseen, or standard input without one newline at its end."""
    if sys.stdin.isatty():
        import getpass

        try:
            return getpass.getpass(f"{name}: ")
        except EOFError:
            raise click.Abort from None
    data = sys.stdin.buffer.read(LONGEST_VALUE + 3)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise SettingsError(
            f"the secret '{name}' is not UTF-8 text",
            hint="use a value of text, such as its base64",
        ) from None  # the cause holds the value
    return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")

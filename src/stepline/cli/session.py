"""What commands that talk to a service have in common."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from stepline.cli.client import Client
from stepline.cli.connection import find_connection
from stepline.cli.display import show_json, show_table
from stepline.cli.interrupts import Interrupted

Plain = Mapping[str, Any]


class Session:
    """One call of a command.

    Args:
        config: The file that names the service.
        json_output: Whether to print JSON.
        given: Options that go before the file, by its keys.
    """

    def __init__(
        self, config: Path | None, *, json_output: bool, given: Mapping[str, Any] | None = None
    ) -> None:
        self.json_output = json_output
        self._config = config
        self._given = given or {}
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The service; found when it is needed first."""
        if self._client is None:
            connection = find_connection(self._given, config=self._config, environ=os.environ)
            self._client = Client(connection)
        return self._client

    @property
    def names_service(self) -> bool:
        """Whether options name the service."""
        return self._config is not None or any(self._given.values())

    def close(self) -> None:
        """Let go of the service."""
        if self._client is not None:
            self._client.close()

    def show(self, value: Any, *lines: str) -> None:
        """Print JSON, or lines for people."""
        if self.json_output:
            show_json(value)
            return
        for line in lines:
            click.echo(line)

    def table(
        self, value: Any, titles: Sequence[str], *, rows: Iterable[Sequence[object]], empty: str
    ) -> None:
        """Print JSON, or a table for people; `show_table` says how."""
        if self.json_output:
            show_json(value)
        else:
            show_table(titles, rows, empty=empty)


def service_command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every command that talks to a service, and give it a `Session`."""

    @wraps(function)
    def command(*, config_file: Path | None, json_output: bool, **words: Any) -> Any:
        given = words.pop("connection", None)
        session = Session(config_file, json_output=json_output, given=given)
        try:
            return function(session, **words)
        except BrokenPipeError:
            raise Interrupted(signal.SIGPIPE) from None
        finally:
            session.close()

    config = click.option(
        "--config",
        "-c",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="auth.json of the service.",
    )
    as_json = click.option("--json", "json_output", is_flag=True, help="Print JSON.")
    return config(as_json(command))


def connection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add options that name the service, as they are known from elsewhere.

    To stand above `service_command`.
    """

    @wraps(function)
    def command(
        *,
        org: str | None,
        api_url: str | None,
        auth_token: str | None,
        ignore_ssl: bool,
        **words: Any,
    ) -> Any:
        given = {"org": org, "api_url": api_url, "auth_token": auth_token, "ignore_ssl": ignore_ssl}
        return function(connection=given, **words)

    options = [
        click.option("--org", metavar="ORG", help="Slug of the organisation."),
        click.option("--api-url", metavar="URL", help="Address of the API."),
        click.option(
            "--auth-token", metavar="TOKEN", help="Token; seen by others on this machine."
        ),
        click.option("--ignore-ssl", "-i", is_flag=True, help="Take any certificate."),
    ]
    for option in reversed(options):
        command = option(command)
    return command

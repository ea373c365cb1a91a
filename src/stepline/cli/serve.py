"""``stepline serve``: the service on this machine."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stepline.cli.home import AUTH_FILE, DEFAULT_HOME, read_settings_file
from stepline.errors import SettingsError
from stepline.model.task import Isolation

if TYPE_CHECKING:
    from stepline.server.access import Access

_DEFAULT_PORT = 8765


@click.command("serve")
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(DEFAULT_HOME),
    show_default=True,
    help="Folder of all state.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=_DEFAULT_PORT,
    show_default=True,
    help="Port to listen at; 0 for a free one.",
)
@click.option(
    "--url",
    "public_url",
    metavar="URL",
    help="Address under which clients reach the service, if it is another one.",
)
@click.option("--org", help="Slug of the organisation; the first start decides it. [default: demo]")
@click.option(
    "--watch",
    "watched",
    metavar="[SOURCE=]DIR",
    multiple=True,
    help="Folder whose files are taken in; may be given several times.",
)
@click.option("--executor", metavar="NAME", help="What runs the tasks.")
@click.option(
    "--isolation",
    type=click.Choice([each.value for each in Isolation]),
    help="How tasks are kept apart.",
)
@click.option("--workers", type=click.IntRange(0, 1000), help="Tasks at a time.")
@click.option("--new-token", is_flag=True, help="Make a new token; the one of before ends.")
def command(
    *,
    home: Path,
    host: str,
    port: int,
    public_url: str | None,
    org: str | None,
    watched: tuple[str, ...],
    executor: str | None,
    isolation: str | None,
    workers: int | None,
    new_token: bool,
) -> None:
    """Take in files, run pipelines on them, and keep all state in one folder.

    The first start makes the folder, prints the address, and writes auth.json, with which
    the other commands find the service. The service runs until it gets SIGINT or SIGTERM;
    what runs then is made again at the next start.
    """
    from stepline import settings
    from stepline.bootstrap import Plugins
    from stepline.server.access import Access
    from stepline.server.composition import HomeOptions, make_service, open_state
    from stepline.server.listening import listen, url_of

    chosen: dict[str, Any] = {"executor": executor, "isolation": isolation, "workers": workers}
    values = replace(
        read_settings_file(os.environ),
        **{name: value for name, value in chosen.items() if value is not None},
    )
    cache_dir = settings.cache_dir(os.environ)
    plugins = Plugins(cache_dir, os.environ, values)
    plugins.load_all(values.plugins)
    with listen(host, port) as socket:
        url = (public_url or url_of(socket)).rstrip("/")
        state = open_state(plugins, home)
        try:
            access = Access(state)
            service = make_service(
                state,
                HomeOptions(home=home, org=org, url=url, watched=watched),
                plugins=plugins,
                settings=values,
                cache_dir=cache_dir,
                report=_report,
            )
            _write_auth(home, access, url=url, org=service.options.org, renew=new_token)
            _serve(service, access, socket, url=url)
        finally:
            state.close()


def _serve(service: Any, access: Access, socket: Any, *, url: str) -> None:
    from stepline.server.app import make_app
    from stepline.server.listening import serve

    service.start()
    for fault in service.faults:
        click.echo(f"warning: {fault}", err=True)
    try:
        serve(
            make_app(service, access=access),
            socket,
            ready=lambda: click.echo(f"Stepline serves {service.options.org} at {url}"),
        )
    finally:
        service.stop()


def _write_auth(home: Path, access: Access, *, url: str, org: str, renew: bool) -> None:
    """Write what clients need to a file that only its owner can read."""
    path = home / AUTH_FILE
    token = access.rotate() if renew else access.ensure_token() or _known_token(path, access)
    if token is None:
        raise SettingsError(
            f"'{path}' is gone or holds another token, and tokens are kept only as hashes",
            hint="start with --new-token, which makes a new one",
        )
    content: dict[str, Any] = {
        "api_url": f"{url}/v1",
        "auth_token": token,
        "org": org,
        "ignore_ssl": False,
    }
    if _content(path) == content:
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _known_token(path: Path, access: Access) -> str | None:
    token = _content(path).get("auth_token")
    return token if isinstance(token, str) and access.allows(token) else None


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _report(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads it; the service goes on
        click.echo(line, err=True)

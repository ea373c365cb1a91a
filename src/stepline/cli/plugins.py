"""``stepline plugins``: what is installed, what it does, and what failed to load."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from stepline import settings
from stepline.bootstrap import PluginEntry, Plugins
from stepline.errors import PluginError


@click.group(name="plugins")
def command() -> None:
    """Show the installed plugins."""


@command.command(name="list")
@click.option("--json", "json_output", is_flag=True, help="Print JSON.")
def list_plugins(json_output: bool) -> int:
    """List every plugin with its package, its hooks and the order in which they are called.

    All of them are loaded for it; one that cannot be is shown with the reason, and the
    exit code is then 3.
    """
    plugins = Plugins(settings.cache_dir(os.environ), os.environ)
    rows = [_row(plugins, entry) for entry in plugins.entries()]
    if json_output:
        click.echo(json.dumps({"plugins": rows, "order": _order(plugins)}, indent=2))
    else:
        _print(rows, _order(plugins))
    return PluginError.exit_code if any(row["error"] for row in rows) else 0


def _row(plugins: Plugins, entry: PluginEntry) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": entry.name,
        "package": entry.package,
        "version": entry.version,
        "hooks": [],
        "error": "",
    }
    try:
        plugin = plugins.load(entry.name)
    except PluginError as error:
        return {**row, "error": str(error)}
    callers = plugins.manager.get_hookcallers(plugin) or []
    return {**row, "hooks": sorted(caller.name for caller in callers)}


def _order(plugins: Plugins) -> dict[str, list[str]]:
    """Return the plugins of each hook, the one that is asked first first."""
    hooks = vars(plugins.manager.hook)
    return {
        name: [each.plugin_name for each in reversed(hooks[name].get_hookimpls())]
        for name in sorted(hooks)
        if name.startswith("stepline_")
    }


def _print(rows: list[dict[str, Any]], order: dict[str, list[str]]) -> None:
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        hooks = ", ".join(row["hooks"]) if not row["error"] else f"NOT LOADED: {row['error']}"
        click.echo(f"{row['name']:<{width}}  {row['package']} {row['version']}  {hooks}")
    click.echo("\nasked in this order:")
    for hook, names in order.items():
        click.echo(f"  {hook}: {', '.join(names) or '-'}")

"""``stepline call``: one function of a task script, the quickest loop for its author."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from stepline.app.run_local import run_local
from stepline.app.run_plan import plan_call
from stepline.cli.local_run import Choices, LocalRun, common_options, parse_pairs
from stepline.errors import SettingsError

_PATH = click.Path(path_type=Path)


@click.command(name="call")
@click.argument("task_script", type=_PATH)
@click.argument("function")
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="NAME=PATH",
    help="File whose pointer becomes input.NAME; the first is context.input_file.",
)
@click.option("--input", "input_json", metavar="JSON", help="The rest of the input: an object.")
@click.option("--config", multiple=True, metavar="KEY=VALUE", help="Value in pipeline_config.")
@click.option(
    "--secret",
    multiple=True,
    metavar="KEY=SOURCE",
    help="Source of a secret; the input names it as $( config.KEY ).",
)
@common_options
def command(
    task_script: Path,
    function: str,
    *,
    files: tuple[str, ...],
    input_json: str | None,
    config: tuple[str, ...],
    secret: tuple[str, ...],
    **common: Any,
) -> int:
    """Call FUNCTION, a slug in the config.json of the folder TASK_SCRIPT."""
    run = LocalRun(Choices(**common), os.environ)
    run.open_lake()
    paths = parse_pairs(files, option="--file")
    request = plan_call(
        task_script,
        function,
        machine=run.machine,
        value=_input(input_json),
        files={name: Path(path) for name, path in paths.items()},
        config=parse_pairs(config, option="--config"),
        secrets=parse_pairs(secret, option="--secret"),
    )
    with run.session([function]) as progress:
        result = run_local(request, ports=run.ports(), reporter=progress)
        return run.finish(result, progress)


def _input(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError as error:
        raise SettingsError(f"--input is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise SettingsError("--input must be a JSON object", hint="""write --input '{"name": 1}'""")
    return value

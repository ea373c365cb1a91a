"""``stepline replay``: a recorded workflow of a service, run again on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from stepline.app.replay import Replay, ReplayWords, plan_replay
from stepline.app.replay_run import ReplayPlace, ReplayResult, run_replay
from stepline.cli.client import Answered, Client, path_of
from stepline.cli.connection import find_connection
from stepline.cli.local_run import Choices, LocalRun, common_options, parse_pairs
from stepline.cli.transfers import download_file
from stepline.errors import Location, PlatformError

_PATH = click.Path(path_type=Path)
_TRIES = 8
_NOT_THERE = 404


@click.command(name="replay")
@click.argument("workflow")
@click.option("--step", metavar="STEP", help="Run only this step: its id, or its number from 1.")
@click.option(
    "--secret",
    multiple=True,
    metavar="KEY=SOURCE",
    help="Source of a secret: env:VARIABLE, file:PATH or prompt; else it is a placeholder.",
)
@click.option(
    "--task-scripts",
    type=_PATH,
    metavar="DIR",
    help="Folder of task scripts to run instead of the recorded ones.",
)
@click.option(
    "--config",
    "-c",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="auth.json of the service.",
)
@common_options
def command(
    workflow: str,
    *,
    step: str | None,
    secret: tuple[str, ...],
    task_scripts: Path | None,
    config_file: Path | None,
    **common: Any,
) -> int:
    """Run WORKFLOW, the id of a workflow of a service, again on this machine.

    Protocol, task scripts, config values, inputs and the files that were read are as
    recorded; secrets are placeholders. Nothing is written to the service.
    """
    run = LocalRun(Choices(**common), os.environ)
    run.open_lake()
    words = ReplayWords(
        workflow_id=workflow,
        step=step,
        secrets=parse_pairs(secret, option="--secret"),
        task_scripts=task_scripts,
    )
    service = RemoteService(config_file, os.environ)
    try:
        replay = plan_replay(words, service, machine=run.machine, new_id=run.ports().new_id)
        return _run(run, replay, service=service)
    finally:
        service.close()


def _run(run: LocalRun, replay: Replay, *, service: RemoteService) -> int:
    with run.session(replay.names) as progress:
        place = ReplayPlace(
            ports=run.ports(),
            reporter=progress,
            folder=run.work / "recorded",
            warn=run.machine.warn,
        )
        result = run_replay(replay, service, place=place)
        code = run.finish(result.run, progress)
        if not run.choices.json_output:
            _print_comparison(replay, result)
        return code


def _print_comparison(replay: Replay, result: ReplayResult) -> None:
    recorded = replay.recorded.workflow
    click.echo(f"compared with workflow {recorded['id']}, which is {recorded['status']}:")
    for each in result.comparisons:
        click.echo(f"  {each.name}: {'the same' if each.same else 'not the same'}: {each.words}")


class RemoteService:
    """A service that is asked for what it has recorded.

    Args:
        config: The file that names it, or None.
        environ: Environment variables of this process.
    """

    def __init__(self, config: Path | None, environ: Mapping[str, str]) -> None:
        connection = find_connection({}, config=config, environ=environ)
        self._client = Client(connection)
        self.org = connection.org
        self.url = connection.api_url.removesuffix("/v1")

    def close(self) -> None:
        """Let go of the service."""
        self._client.close()

    def workflow(self, workflow_id: str) -> Mapping[str, Any]:
        """Return a workflow with its tasks and their attempts."""
        return dict(self._client.get(path_of("workflow", workflow_id)))

    def pins(self, workflow_id: str) -> Mapping[str, Any]:
        """Return what a workflow is pinned to."""
        return dict(self._client.get(path_of("workflow", workflow_id, "pins")))

    def source(self, digest: str, target: Path) -> None:
        """Write the archive of an artifact's content."""
        path = path_of("sources", digest)
        try:
            with self._client.stream(path, headers={}) as answer, target.open("xb") as file:
                file.writelines(answer.iter_bytes())
        except OSError as error:
            raise PlatformError(
                f"the archive cannot be written: {error.strerror}", where=Location(str(target))
            ) from error

    def file_info(self, file_id: str) -> Mapping[str, Any] | None:
        """Return the record of a file version, or None where there is none any more."""
        try:
            return dict(self._client.get(path_of("fileinfo", file_id)))
        except Answered as error:
            if error.status == _NOT_THERE:
                return None
            raise

    def content(self, info: Mapping[str, Any], target: Path) -> None:
        """Write the bytes of a file version, verified."""
        download_file(self._client, info, target=target, tries=_TRIES, advance=lambda count: None)

"""``stepline run``: a protocol on a file, on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from stepline.app.run_local import RunRequest, WorkflowState, retry_local, run_local
from stepline.app.run_plan import RunWords, plan_retry, plan_run
from stepline.app.workflow_record import read_record
from stepline.cli.local_run import Choices, LocalRun, common_options, parse_pairs
from stepline.errors import ConfigError, Location, SettingsError
from stepline.ports.lake import RECORD_NAME

_PATH = click.Path(path_type=Path)


@click.command(name="run")
@click.argument("protocol", type=_PATH)
@click.option("--input", "input_path", type=_PATH, metavar="FILE", help="The input file.")
@click.option(
    "--task-scripts",
    type=_PATH,
    metavar="DIR",
    help="Folder of task scripts; by default the one of the protocol's project.",
)
@click.option("--config", multiple=True, metavar="KEY=VALUE", help="Value of a config item.")
@click.option(
    "--secret",
    multiple=True,
    metavar="KEY=SOURCE",
    help="Source of a secret: env:VARIABLE, file:PATH or prompt.",
)
@click.option("--retry", is_flag=True, help="Go on with the failed workflow in --out.")
@common_options
def command(
    protocol: Path,
    *,
    input_path: Path | None,
    task_scripts: Path | None,
    config: tuple[str, ...],
    secret: tuple[str, ...],
    retry: bool,
    **common: Any,
) -> int:
    """Run PROTOCOL, a protocol.yml or the folder that holds one, on a file.

    Task scripts are found by the manifest.json in their folders, else by the folders'
    names. Results and a record of all that was used go to --out.
    """
    run = LocalRun(Choices(**common), os.environ)
    words = RunWords(
        protocol=protocol,
        input_path=input_path,
        task_scripts=task_scripts,
        config=parse_pairs(config, option="--config"),
        secrets=parse_pairs(secret, option="--secret"),
        lake=run.choices.lake,
        ids=run.choices.ids,
    )
    return _retry(run, words) if retry else _run(run, words)


def _run(run: LocalRun, words: RunWords) -> int:
    run.open_lake()
    request = plan_run(words, run.machine)
    with run.session([step.name for step in request.protocol.steps]) as progress:
        result = run_local(request, ports=run.ports(), reporter=progress)
        return run.finish(result, progress)


def _retry(run: LocalRun, words: RunWords) -> int:
    if run.choices.out is None:
        raise SettingsError(
            "--retry needs the results of the run that failed", hint="add --out DIR"
        )
    failed, request = _plan_retry(run, words, run.out / RECORD_NAME)
    with run.session([step.name for step in request.protocol.steps]) as progress:
        result = retry_local(failed, request, ports=run.ports(), reporter=progress)
        return run.finish(result, progress)


def _plan_retry(run: LocalRun, words: RunWords, path: Path) -> tuple[WorkflowState, RunRequest]:
    record = read_record(path)
    try:
        _check_words(run, words, record, path)
        run.choices = replace(run.choices, lake=_path(record["lake"]), ids=_path(record["ids"]))
        run.open_lake(own_results=True)
        return plan_retry(record, run.machine, path=path, secrets=words.secrets)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the record is damaged: {type(error).__name__}: {error}",
            where=Location(str(path)),
            hint="run without --retry",
        ) from error


def _check_words(run: LocalRun, words: RunWords, record: Mapping[str, Any], path: Path) -> None:
    from stepline.app.retry_words import RetryWords, check_retry

    given = RetryWords(
        protocol=words.protocol,
        paths={"--input": words.input_path, "--lake": words.lake, "--ids": words.ids},
        config=words.config,
        env=parse_pairs(run.choices.env, option="--env"),
        executor=run.choices.executor,
        isolation=run.choices.isolation,
        network=run.choices.network,
    )
    check_retry(given, record, path=str(path))


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)

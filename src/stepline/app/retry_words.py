"""The words of ``run --retry``, held against what the workflow was started with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stepline.app.common import shipped_path
from stepline.app.config_values import parse_values
from stepline.app.load import restore_protocol
from stepline.app.project_layout import PROTOCOLS_FOLDER
from stepline.errors import ConfigError, Location, Problem
from stepline.frozen import frozen
from stepline.model.values import Json


@frozen(kw_only=True)
class RetryWords:
    """What the command says besides ``--retry``; None and empty where it does not.

    Attributes:
        protocol: A protocol's file, or the folder that holds it.
        paths: Paths by option: ``--input``, ``--lake``, ``--ids``.
        config: Texts by config key.
        env: Variables for tasks.
        executor: Name of the executor.
        isolation: How tasks are kept apart.
        network: What tasks may reach.
    """

    protocol: Path
    paths: Mapping[str, Path | None]
    config: Mapping[str, str]
    env: Mapping[str, str]
    executor: str | None
    isolation: str | None
    network: str | None = None


def check_retry(words: RetryWords, record: Mapping[str, Any], *, path: str) -> None:
    """Refuse words that say something else than the record of the workflow.

    Args:
        words: The words.
        record: The record.
        path: Where the record is from, for messages.

    Raises:
        ConfigError: A word differs from what is recorded; all that do are named.
    """
    problems = [
        Problem(
            "other-word",
            f"{word} is not what the workflow was started with{_shown(was)}",
            Location(path),
            hint="give what it was started with, or start a new workflow without --retry",
        )
        for word, was in _different(words, record)
    ]
    if problems:
        first = problems[0]
        raise ConfigError(first.message, where=first.where, hint=first.hint, problems=problems)


def _shown(was: Json) -> str:
    return "" if was is None else f" ({was})"


def _different(words: RetryWords, record: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    """Yield each word that differs, and what was recorded."""
    protocol, executor = record["protocol"], record["executor"]
    named = shipped_path(words.protocol, PROTOCOLS_FOLDER)
    if not _same(named, protocol["path"], os.path.dirname(protocol["path"])):
        yield str(words.protocol), protocol["path"]
    recorded = {
        "--input": record["input"]["path"],
        "--lake": record["lake"],
        "--ids": record["ids"],
    }
    for option, given in words.paths.items():
        if given is not None and not _same(given, recorded[option]):
            yield f"{option} {given}", recorded[option]
    model = restore_protocol(protocol["document"])
    for key, value in parse_values(words.config, model, path=protocol["path"]).items():
        if value != record["config"].get(key):
            yield f"--config {key}={words.config[key]}", record["config"].get(key)
    for name, text in words.env.items():
        if text != executor["taskEnv"].get(name):
            yield f"--env {name}={text}", executor["taskEnv"].get(name)
    chosen = {
        "executor": (words.executor, executor["name"]),
        "isolation": (words.isolation, executor["isolation"]),
        "network": (words.network, executor["limits"]["network"]),
    }
    for option, (given_word, kept) in chosen.items():
        if given_word not in (None, kept):
            yield f"--{option} {given_word}", kept


def _same(given: Path, *recorded: str | None) -> bool:
    wanted = {os.path.realpath(path) for path in recorded if path is not None}
    return os.path.realpath(given) in wanted

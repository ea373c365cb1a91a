"""Settings: read once, from ``stepline.toml`` and the environment, into a typed value.

An environment variable ``STEPLINE_<NAME>`` wins over the file's ``<name>``; a
command's option wins over both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Any

from stepline.errors import Location, SettingsError
from stepline.frozen import frozen

FILE_NAME = "stepline.toml"


@frozen
class Settings:
    """All settings, each with the value that holds when it is not set.

    Attributes:
        executor: Name of the executor.
        isolation: How tasks of one worker are kept apart: fork, process or reuse.
        default_runtime: Python, ``python3.N``, of task scripts that name none;
            empty means the platform's own.
        task_env: Environment variables that tasks get; recorded, so never secrets.
        plugins: Names of further entry points to load, such as ``observer.slack``.
        allow_before_install: Let ``init/before_install`` run on this machine.
    """

    executor: str = "process"
    isolation: str = "fork"
    default_runtime: str = ""
    task_env: Mapping[str, str] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    allow_before_install: bool = False


_ISOLATIONS = ("fork", "process", "reuse")
_TYPES: dict[str, type] = {
    "executor": str,
    "isolation": str,
    "default_runtime": str,
    "task_env": dict,
    "plugins": list,
    "allow_before_install": bool,
}


def cache_dir(environ: Mapping[str, str]) -> Path:
    """Return the folder for what may be kept between runs, and may be lost."""
    if "STEPLINE_CACHE_DIR" in environ:
        return Path(environ["STEPLINE_CACHE_DIR"]).absolute()
    if "XDG_CACHE_HOME" in environ:
        return Path(environ["XDG_CACHE_HOME"], "stepline")
    return Path(environ.get("HOME", "/"), ".cache", "stepline")


def read_settings(text: str, *, path: str, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a ``stepline.toml`` and an environment.

    Args:
        text: Content of the file; empty where there is none.
        path: Where the text is from, for messages.
        environ: Environment variables.

    Raises:
        SettingsError: The file is not TOML, or a setting is unknown or of a wrong type.
    """
    values = _parse(text, path) if text.strip() else {}
    for name, value in values.items():
        _check(name, value, path)
    values.update(_from_environment(environ))
    if values.get("isolation", "fork") not in _ISOLATIONS:
        raise SettingsError(
            f"the setting isolation is '{values['isolation']}'",
            where=Location(path),
            hint=f"use one of: {', '.join(_ISOLATIONS)}",
        )
    if "plugins" in values:
        values["plugins"] = tuple(values["plugins"])
    return Settings(**values)


def _parse(text: str, path: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"not valid TOML: {error}", where=Location(path)) from error


def _check(name: str, value: object, path: str) -> None:
    if name not in _TYPES:
        import difflib

        near = difflib.get_close_matches(name, _TYPES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known settings: {', '.join(_TYPES)}"
        raise SettingsError(f"unknown setting '{name}'", where=Location(path), hint=hint)
    if not isinstance(value, _TYPES[name]):
        raise SettingsError(
            f"the setting {name} must be of type {_TYPES[name].__name__}, "
            f"not {type(value).__name__}",
            where=Location(path),
        )


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for setting in fields(Settings):
        text = environ.get(f"STEPLINE_{setting.name.upper()}")
        if text is None:
            continue
        kind = _TYPES[setting.name]
        if kind is str:
            found[setting.name] = text
        elif kind is bool:
            found[setting.name] = text.lower() in ("1", "true", "yes", "on")
        elif kind is list:
            found[setting.name] = [part for part in text.split(",") if part]
        else:
            found[setting.name] = dict(
                pair.split("=", 1) for pair in text.split(os.pathsep) if "=" in pair
            )
    return found

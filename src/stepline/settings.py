"""Settings: read once, from ``stepline.toml`` and the environment, into a typed value.

An environment variable ``STEPLINE_<NAME>`` wins over the file's ``<name>``; a
command's option wins over both. An empty variable counts as not set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from stepline.errors import Location, Problem, SettingsError
from stepline.frozen import frozen

FILE_NAME = "stepline.toml"
VARIABLE_PREFIX = "STEPLINE_"
_SHOWN_TEXT = 40
_MOST_WORKERS = 1000


@frozen
class RegistryLogin:
    """Who we are to a container registry.

    Attributes:
        user: Name of the user; the id of the key for one of AWS.
        secret: Where the password or the key is, ``BACKEND:NAME``; never the value.
        kind: ``basic`` for user and password, or what a plugin ``registry.<kind>`` brings.
        region: Region of a cloud's registry, where its host does not name it.
        name: What it is called in messages; empty for the host.
    """

    user: str = ""
    secret: str = ""
    kind: str = "basic"
    region: str = ""
    name: str = ""


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
        images_dir: Folder of images and their layers; empty for one of the user's own.
        bases: Base images by runtime, ``3.N`` or ``3.N-hook``: references of a registry.
        registries: By host of a container registry, with its port: how to log in there.
        workers: Tasks that the service runs at a time; 0 means two more than there are processors.
    """

    executor: str = "process"
    isolation: str = "fork"
    default_runtime: str = ""
    task_env: Mapping[str, str] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    allow_before_install: bool = False
    images_dir: str = ""
    bases: Mapping[str, str] = field(default_factory=dict)
    registries: Mapping[str, RegistryLogin] = field(default_factory=dict)
    workers: int = 0


def cache_dir(environ: Mapping[str, str]) -> Path:
    """Return the folder for what may be kept between runs, and may be lost."""
    if own := environ.get("STEPLINE_CACHE_DIR"):
        return Path(own).absolute()
    common = environ.get("XDG_CACHE_HOME", "")
    if common.startswith("/"):  # a relative one is to be ignored, by its specification
        return Path(common, "stepline")
    return Path(environ.get("HOME") or "/", ".cache", "stepline")


def images_dir(environ: Mapping[str, str]) -> Path:
    """Return the folder of images where no setting names one."""
    common = environ.get("XDG_DATA_HOME", "")
    if common.startswith("/"):
        return Path(common, "stepline", "images")
    return Path(environ.get("HOME") or "/", ".local", "share", "stepline", "images")


def read_settings(text: str, *, path: str, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a ``stepline.toml`` and an environment.

    Args:
        text: Content of the file; empty where there is none.
        path: Where the text is from, for messages.
        environ: Environment variables.

    Raises:
        SettingsError: The file is not TOML, or a setting is unknown or of a wrong type;
            with all problems.
    """
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for name, value in (_parse(text, path) if text.strip() else {}).items():
        try:
            values[name] = _READERS[name](value)
        except KeyError:
            problems.append(_unknown(name, _place(name, text, path)))
        except _Unfit as unfit:
            problems.append(unfit.problem(name, _place(name, text, path)))
    for name, read in _READERS.items():
        variable = f"{VARIABLE_PREFIX}{name.upper()}"
        if word := environ.get(variable):
            try:
                values[name] = read(_FROM_TEXT.get(name, str)(word))
            except _Unfit as unfit:
                problems.append(unfit.problem(name, Location(variable)))
    if problems:
        first = problems[0]
        raise SettingsError(first.message, where=first.where, hint=first.hint, problems=problems)
    return Settings(**values)


class _Unfit(ValueError):
    """A value does not fit its setting.

    Args:
        what: What it must be.
        given: What it is, if its type alone does not say so.
        hint: What to write instead.
    """

    def __init__(self, what: str, given: str, *, hint: str) -> None:
        super().__init__(what)
        self.given = given
        self.hint = hint

    def problem(self, name: str, where: Location) -> Problem:
        message = f"the setting {name} must be {self}, not {self.given}"
        return Problem("wrong-setting", message, where, self.hint)


def _parse(text: str, path: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at ")
        digits = [int(word.strip(",)")) for word in place.split() if word[0].isdigit()]
        where = Location(path, *(digits or (len(text.splitlines()),)))
        raise SettingsError(
            f"not valid TOML: {message[:1].lower()}{message[1:]}",
            where=where,
            hint='a line is NAME = VALUE; text stands in quotes, as in executor = "process"',
        ) from error
    except RecursionError as error:
        raise SettingsError("nested too deeply", where=Location(path)) from error


def _place(name: str, text: str, path: str) -> Location:
    """Return where a setting's name stands in the file."""
    import re

    start = rf"""^[ \t]*\[?[ \t]*["']?(?P<name>{re.escape(name)})["']?[ \t]*[=.\]]"""
    found = re.search(start, text, re.MULTILINE)
    if found is None:
        return Location(path)
    line_start = text.rfind("\n", 0, found.start("name")) + 1
    line = text.count("\n", 0, line_start) + 1
    return Location(path, line, found.start("name") - line_start + 1)


def _unknown(name: str, where: Location) -> Problem:
    from stepline.expressions.suggest import nearest_of_all

    hint = nearest_of_all(name, _READERS, those="settings are")
    return Problem("unknown-setting", f"there is no setting '{name}'", where, hint)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Unfit("text", _kind(value), hint="write it in quotes")
    return value


def _isolation(value: object) -> str:
    if value not in _ISOLATIONS:
        raise _Unfit("one of " + ", ".join(_ISOLATIONS), repr(value), hint='the default is "fork"')
    return str(value)


def _runtime(value: object) -> str:
    text = _text(value)
    major, _, minor = text.removeprefix("python").partition(".")
    if text and not (text.startswith("python") and major == "3" and minor.isdecimal()):
        raise _Unfit("a Python, python3.N", repr(text), hint='write it as in "python3.11"')
    return text


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Unfit("true or false", _kind(value), hint="write it without quotes")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_WORKERS:
        given = repr(value) if isinstance(value, int) else _kind(value)
        raise _Unfit(f"a number from 0 to {_MOST_WORKERS}", given, hint="write it as in 4")
    return value


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _Unfit("a list of names", _kind(value), hint='write it as in ["observer.slack"]')
    return tuple(value)


def _variables(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _Unfit("a table of texts", _kind(value), hint='write it as in {TZ = "UTC"}')
    for name, text in value.items():
        if not isinstance(text, str):
            given = f"{_kind(text)} in {name}"
            raise _Unfit("a table of texts", given, hint=f'write {name} = "…", in quotes')
        if not name or "=" in name or "\0" in name + text:
            raise _Unfit("a table of variables", f"with {name!r}", hint="rename the variable")
    return value


def _registries(value: object) -> dict[str, RegistryLogin]:
    if not isinstance(value, dict):
        raise _Unfit("a table of logins", _kind(value), hint=_LOGIN_HINT)
    return {host: _login(host, login) for host, login in value.items()}


def _login(host: str, value: object) -> RegistryLogin:
    if not isinstance(value, dict):
        raise _Unfit("a table of logins", f"{_kind(value)} for {host}", hint=_LOGIN_HINT)
    known = RegistryLogin.__annotations__
    for name, text in value.items():
        if name not in known:
            hint = f"use some of {', '.join(known)}"
            raise _Unfit("a table of logins", f"with {name!r} for {host}", hint=hint)
        if not isinstance(text, str):
            raise _Unfit("a table of texts", f"{_kind(text)} in {host}.{name}", hint=_LOGIN_HINT)
    login = RegistryLogin(**value)
    backend, _, place = login.secret.partition(":")
    if not (backend and place) and (login.secret or login.kind == "basic"):
        given = f"one without a secret of the form BACKEND:NAME for {host}"
        raise _Unfit("a table of logins", given, hint=_LOGIN_HINT)
    if not login.user and login.kind == "basic":
        raise _Unfit("a table of logins", f"one without a user for {host}", hint=_LOGIN_HINT)
    return login


def _kind(value: object) -> str:
    kinds = {str: "text", bool: "true or false", int: "a number", float: "a number"}
    return {**kinds, list: "a list of other things", dict: "a table"}.get(type(value), "a time")


def _flag_of(text: str) -> object:
    words = {
        **dict.fromkeys(("1", "true", "yes", "on"), True),
        **dict.fromkeys(("0", "false", "no", "off"), False),
    }
    if text.lower() not in words:
        raise _Unfit("true or false", repr(text), hint=f"use one of {', '.join(words)}")
    return words[text.lower()]


def _count_of(text: str) -> object:
    return int(text) if text.isascii() and text.isdecimal() else text


def _names_of(text: str) -> object:
    return [part.strip() for part in text.split(",") if part.strip()]


def _variables_of(text: str) -> object:
    return _json_of(text, """write it as in {"TZ": "UTC"}""")


def _logins_of(text: str) -> object:
    return _json_of(text, """write it as in {"HOST": {"user": "robot", "secret": "env:NAME"}}""")


def _json_of(text: str, hint: str) -> object:
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        given = repr(text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}…")
        raise _Unfit("a JSON object of texts", given, hint=hint) from error


_LOGIN_HINT = 'write it as in {"registry.example" = {user = "robot", secret = "env:NAME"}}'
_ISOLATIONS = ("fork", "process", "reuse")

_READERS: dict[str, Callable[[object], Any]] = {
    "executor": _text,
    "isolation": _isolation,
    "default_runtime": _runtime,
    "task_env": _variables,
    "plugins": _names,
    "allow_before_install": _flag,
    "images_dir": _text,
    "bases": _variables,
    "registries": _registries,
    "workers": _count,
}
"""By setting: returns the value of what TOML has for it."""

_FROM_TEXT: dict[str, Callable[[str], object]] = {
    "task_env": _variables_of,
    "plugins": _names_of,
    "allow_before_install": _flag_of,
    "bases": _variables_of,
    "registries": _logins_of,
    "workers": _count_of,
}
"""By setting: turns an environment variable into what TOML would have; others are text."""

"""Dependency groups as a uv.lock has them, read by uv itself, without a network.

Source:
    uv's documentation, "Locking and syncing" and "Exporting lockfiles".
"""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from stepline.errors import ConfigError, Location
from stepline.packages.uv import CommandFailed, run_uv
from stepline.plugins.images_local.groups import (
    MAIN,
    UV_LOCK,
    Project,
    declared_groups,
    normalised,
    refuse_folder,
    refuse_runtime,
    refuse_unhashed,
    stale,
)
from stepline.plugins.images_local.python_versions import admits

_NO_PYTHON = "No interpreter found for Python"
_CONFLICT = "are incompatible with the"
_DYNAMIC = "source distributions is disabled"
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[([^\]]*)\])?\s*\(?([^;@)]*)\)?(@[^;]*)?")
_MINORS = range(7, 20)


def uv_requirements(project: Project, *, environ: Mapping[str, str]) -> str:
    """Return what a project's groups need, pinned with hashes, after `locked_requirements`."""
    lock = _read(project.folder)
    refuse_runtime(project, lock.get("requires-python", ""), lock=UV_LOCK)
    with tempfile.TemporaryDirectory(prefix="stepline-lock-") as home:
        uv = _Uv(project, home=home, environ=environ)
        _refuse_stale(project, lock, uv)
        text = uv.run("export", "--frozen", *_selection(project.groups))
    return "".join(f"{entry}\n" for entry in sorted(_entries(text, project)))


def _read(folder: Path) -> dict[str, Any]:
    try:
        lock = tomllib.loads((folder / UV_LOCK).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise stale(UV_LOCK, f"it is not TOML: {error}") from error
    return lock


class _Uv:
    """Runs uv on a project with the settings of its pyproject.toml alone."""

    def __init__(self, project: Project, *, home: str, environ: Mapping[str, str]) -> None:
        self._folder = project.folder
        path = environ.get("PATH", os.defpath)
        self._environ = {"PATH": path, "HOME": home, "UV_NO_CONFIG": "0", "UV_NO_BUILD": "1"}

    def run(self, *arguments: str) -> str:
        """Return what it says.

        Raises:
            ConfigError: It ended with another code than 0.
        """
        try:
            return self.try_run(*arguments)
        except CommandFailed as failure:
            where = Location("pyproject.toml" if _CONFLICT in failure.output else UV_LOCK)
            what = f"the groups cannot be read from the lock file:\n{failure.output}"
            raise ConfigError(what, where=where, hint="run `uv lock`") from None

    def try_run(self, *arguments: str) -> str:
        """Return what it says.

        Raises:
            CommandFailed: It ended with another code than 0.
        """
        offline = ("--offline", "--no-cache")
        return run_uv(*arguments, *offline, cwd=self._folder, environ=self._environ)


def _selection(groups: Collection[str]) -> Iterator[str]:
    """Give the arguments of an export of just some groups."""
    yield from ("--no-emit-project", "--no-header", "--no-annotate", "--no-default-groups")
    yield "--no-editable"
    option = "--group" if MAIN in groups else "--only-group"
    for group in groups:
        if group != MAIN:
            yield from (option, group)


def _refuse_stale(project: Project, lock: Mapping[str, Any], uv: _Uv) -> None:
    try:
        uv.try_run("lock", "--check", *_indexes(lock))
    except CommandFailed as failure:
        if _DYNAMIC in failure.output:
            raise ConfigError(
                f"only code of the project tells what it depends on:\n{failure.output}",
                where=Location("pyproject.toml"),
                hint="list dependencies in pyproject.toml, not under `dynamic`",
            ) from None
        if _NO_PYTHON not in failure.output or not _fits(project, lock):
            raise stale(UV_LOCK) from None


def _indexes(lock: Mapping[str, Any]) -> Iterator[str]:
    """Give arguments that have uv know the indexes of a lock file, whatever its own are."""
    sources = [package.get("source", {}).get("registry") for package in lock.get("package", ())]
    option = "--default-index"
    for url in dict.fromkeys(source for source in sources if source):
        yield from (option, url)
        option = "--index"


def _fits(project: Project, lock: Mapping[str, Any]) -> bool:
    """Tell whether a lock file has what pyproject.toml asks for, markers aside.

    uv itself can tell only where a Python that the project wants is on this machine.
    """
    own = project.content.get("project", {})
    roots = [
        package
        for package in lock.get("package", ())
        if normalised(package["name"]) == normalised(own.get("name", ""))
    ]
    known = roots[0].get("metadata", {}) if len(roots) == 1 else {}
    optional = own.get("optional-dependencies", {}).values()
    asked = [*own.get("dependencies", ()), *(text for extra in optional for text in extra)]
    groups = declared_groups(project.content)
    kept = known.get("requires-dev", {})
    ranges = (own.get("requires-python", ""), lock.get("requires-python", ""))
    return (
        _asked(asked) == _kept(known.get("requires-dist", ()))
        and all(
            _asked(groups[name]) <= _kept(kept.get(name, ())) for name in groups if name != MAIN
        )
        and all(admits(ranges[0], f"3.{n}") == admits(ranges[1], f"3.{n}") for n in _MINORS)
    )


def _asked(requirements: Collection[object]) -> set[tuple[str, ...]]:
    found = set()
    for text in requirements:
        if isinstance(text, str) and (match := _REQUIREMENT.match(text)):
            found.add(_comparable(match[1], (match[2] or "").split(","), match[3]))
    return found


def _kept(requirements: Collection[Mapping[str, Any]]) -> set[tuple[str, ...]]:
    return {
        _comparable(entry["name"], entry.get("extras", ()), entry.get("specifier", ""))
        for entry in requirements
    }


def _comparable(name: str, extras: Collection[str], specifier: str) -> tuple[str, ...]:
    clauses = sorted(re.sub(r"\s", "", clause) for clause in specifier.split(","))
    names = sorted(normalised(extra.strip()) for extra in extras if extra.strip())
    return (normalised(name), *names, *clauses)


def _entries(text: str, project: Project) -> Iterator[str]:
    """Give the entries of an export, one hash to a line, without those of components."""
    for line in re.sub(r"\s*\\\s*\n\s*", " ", text).splitlines():
        bare = re.sub(r"(^|\s)#.*", "", line).strip()
        if not bare:
            continue
        requirement, *hashes = bare.split(" --hash=")
        path = requirement.partition(" ;")[0].removeprefix("-e ").removeprefix("./")
        if hashes:
            yield " \\\n".join([requirement, *(f"    --hash={each}" for each in sorted(hashes))])
        elif not (project.folder / path).is_dir():
            raise refuse_unhashed(requirement, lock=UV_LOCK)
        elif str(PurePosixPath(path)) not in project.components:
            raise refuse_folder(path, name="", lock=UV_LOCK)

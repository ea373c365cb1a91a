"""Dependency groups of a project, pinned with hashes as its lock file has them.

``main`` is the project's own dependencies; all others have the name that pyproject.toml
gives them, however it is written. The lock file is uv's or Poetry's, never both.

Source:
    Dependency groups: the Python packaging specification "Dependency Groups"; names: the
    specification "Names and normalization".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from stepline.errors import ConfigError, Location
from stepline.expressions.suggest import nearest_hint
from stepline.frozen import frozen
from stepline.plugins.images_local.python_versions import admits

PROJECT = "pyproject.toml"
UV_LOCK = "uv.lock"
POETRY_LOCK = "poetry.lock"
MAIN = "main"


@frozen(kw_only=True)
class Project:
    """A Python project whose groups are asked for.

    Attributes:
        folder: Where its pyproject.toml is.
        content: What that says.
        groups: Names of the groups to install, normalised, each once.
        components: Folders in it that are installed from source by other means.
        runtime: Python to install them for, ``3.N``.
    """

    folder: Path
    content: Mapping[str, Any]
    groups: tuple[str, ...]
    components: Collection[str]
    runtime: str


def locked_requirements(
    folder: Path,
    groups: Collection[str],
    *,
    runtime: str,
    environ: Mapping[str, str],
    components: Collection[str] = (),
) -> str:
    """Return exactly what some groups need, each package pinned with its hashes.

    Args:
        folder: Folder of pyproject.toml and of the lock file; not written to.
        groups: Names of groups.
        runtime: Python to install them for, ``3.N``.
        environ: Environment of the platform; of it uv gets PATH alone.
        components: Folders in ``folder`` that are installed from source by other means;
            of those only the dependencies are in the text.

    Returns:
        Lines as pip and uv read them, paths relative to ``folder``, sorted by name, the
        same for the same lock file. Markers tell what is for other Pythons.

    Raises:
        ConfigError: There is no such group, or nothing in it; the lock file is missing,
            stale or not for this Python; a package cannot be pinned by a hash.
    """
    content = _read(folder)
    wanted = tuple(dict.fromkeys(normalised(group) for group in groups))
    project = Project(
        folder=folder,
        content=content,
        groups=wanted,
        components={component.strip("/") for component in components},
        runtime=runtime,
    )
    _refuse_unknown(wanted, content)
    if _lock_file(project) == POETRY_LOCK:
        from stepline.plugins.images_local.poetry_lock import poetry_requirements

        return poetry_requirements(project)
    from stepline.plugins.images_local.uv_lock import uv_requirements

    return uv_requirements(project, environ=environ)


def normalised(name: str) -> str:
    """Return a name as all its spellings have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared_groups(content: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return what a pyproject.toml lists in each of its groups, ``main`` first if it has one."""
    found: dict[str, list[Any]] = {}
    project, tools = content.get("project"), content.get("tool", {})
    poetry, uv = tools.get("poetry", {}), tools.get("uv", {})
    if project is not None or "dependencies" in poetry:
        own = [name for name in poetry.get("dependencies", {}) if normalised(name) != "python"]
        found[MAIN] = [*(project or {}).get("dependencies", []), *own]
    listed: list[tuple[str, Any]] = list(content.get("dependency-groups", {}).items())
    listed += [
        ("dev", old["dev-dependencies"]) for old in (poetry, uv) if "dev-dependencies" in old
    ]
    for name, group in poetry.get("group", {}).items():
        included = [{"include-group": other} for other in group.get("include-groups", [])]
        listed.append((name, [*group.get("dependencies", {}), *included]))
    for name, entries in listed:
        found.setdefault(normalised(name), []).extend(entries)
    return found


def refuse_runtime(project: Project, versions: str, *, lock: str) -> None:
    """Refuse a lock file that was not made for the Python that is asked for.

    Args:
        project: The project.
        versions: The Pythons that it was made for, as in ``>=3.9,<4``.
        lock: Name of the lock file.
    """
    if admits(versions, project.runtime):
        return
    raise ConfigError(
        f"the lock file is for Python {versions}, and the runtime is {project.runtime}",
        where=Location(lock),
        hint=f"change requires-python in {PROJECT} and lock again, or the runtime in config.json",
    )


def stale(lock: str, why: str = "") -> ConfigError:
    """Return the error for a lock file that does not fit pyproject.toml."""
    return ConfigError(
        f"the lock file does not fit {PROJECT}" + (f": {why}" if why else ""),
        where=Location(lock),
        hint=f"run `{'poetry' if lock == POETRY_LOCK else 'uv'} lock`",
    )


def refuse_folder(path: str, *, name: str, lock: str) -> ConfigError:
    """Return the error for a dependency on a folder that no component is."""
    return ConfigError(
        f"{name or path} is installed from the folder {path}, of which there is no hash",
        where=Location(lock),
        hint=f'name it in config.json, "image": {{"components": ["{path}"]}}',
    )


def refuse_unhashed(name: str, *, lock: str) -> ConfigError:
    """Return the error for a package that cannot be pinned by a hash."""
    return ConfigError(
        f"the lock file has no hash of {name}",
        where=Location(lock),
        hint="take it from a package index that tells hashes, or put its folder into the task "
        "script and name it in image.components of config.json",
    )


def _read(folder: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((folder / PROJECT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"image.groups asks for dependency groups, and there is no {PROJECT}",
            where=Location("config.json"),
            hint=f"add {PROJECT}, or leave out image.groups to install requirements.txt",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"this is not TOML: {error}", where=Location(PROJECT)) from error


def _refuse_unknown(wanted: Collection[str], content: Mapping[str, Any]) -> None:
    declared = declared_groups(content)
    for group in wanted:
        if group not in declared:
            raise ConfigError(
                f"there is no dependency group {group!r} in {PROJECT}",
                where=Location("config.json"),
                hint=nearest_hint(group, declared, none=f"{PROJECT} has no group at all"),
            )
        if not any(_requirements(group, declared, seen=set())):
            full = [name for name in declared if any(_requirements(name, declared, seen=set()))]
            raise ConfigError(
                f"the dependency group {group!r} is empty",
                where=Location("config.json"),
                hint=f"leave it out of image.groups; not empty: {', '.join(full) or 'none'}",
            )


def _requirements(
    group: str, declared: Mapping[str, list[Any]], *, seen: set[str]
) -> Iterator[object]:
    """Give the requirements of a group, and of those that it includes."""
    seen.add(group)
    for entry in declared.get(group, ()):
        if not isinstance(entry, dict):
            yield entry
        elif (other := normalised(str(entry.get("include-group", "")))) not in seen:
            yield from _requirements(other, declared, seen=seen)


def _lock_file(project: Project) -> str:
    """Return the name of the project's lock file."""
    found = [name for name in (UV_LOCK, POETRY_LOCK) if (project.folder / name).is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(
            f"there are two lock files, {UV_LOCK} and {POETRY_LOCK}",
            where=Location(PROJECT),
            hint="remove the one that is out of use",
        )
    backend = str(project.content.get("build-system", {}).get("build-backend", ""))
    by_poetry = "poetry" in project.content.get("tool", {}) or backend.startswith("poetry")
    tool = "poetry" if by_poetry else "uv"
    raise ConfigError(
        f"there is no lock file beside {PROJECT}, neither {UV_LOCK} nor {POETRY_LOCK}",
        where=Location(PROJECT),
        hint=f"run `{tool} lock`",
    )

"""Dependency groups as a poetry.lock of Poetry 2 has them.

Source:
    Poetry 2.5: what it hashes of pyproject.toml, and what it reads of its lock file (version
    2.1 of the file's format), compared in tests with files that it wrote.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from stepline.plugins.images_local.groups import (
    POETRY_LOCK,
    Project,
    normalised,
    refuse_folder,
    refuse_runtime,
    refuse_unhashed,
    stale,
)

_PROJECT_KEYS = ("requires-python", "dependencies", "optional-dependencies")
# The first are hashed even where they are missing, unless newer tables are there.
_OLD_KEYS = ("dependencies", "source", "extras", "dev-dependencies")
_WITH_GROUPS = (2, 1)
_ONLY_EXTRAS = re.compile(r"extra == \"[^\"]+\"(?: or extra == \"[^\"]+\")*")


def poetry_requirements(project: Project) -> str:
    """Return what a project's groups need, pinned with hashes, after `locked_requirements`."""
    lock = _read(project.folder)
    known = lock.get("metadata", {})
    if known.get("content-hash") != content_hash(project.content):
        raise stale(POETRY_LOCK)
    refuse_runtime(project, known.get("python-versions", ""), lock=POETRY_LOCK)
    wanted = [package for package in lock.get("package", ()) if _groups(package, project.groups)]
    entries = [entry for package in wanted for entry in _entry(package, project)]
    return "".join(f"{entry}\n" for entry in sorted(entries))


def content_hash(content: Mapping[str, Any]) -> str:
    """Return the digest that Poetry keeps of the pyproject.toml that it has locked."""
    project, poetry = content.get("project", {}), content.get("tool", {}).get("poetry", {})
    relevant: dict[str, Any] = {}
    if own := {key: project[key] for key in _PROJECT_KEYS if project.get(key) is not None}:
        relevant["project"] = own
    if groups := content.get("dependency-groups", {}):
        relevant["dependency-groups"] = groups
    tool = {key: poetry[key] for key in (*_OLD_KEYS, "group") if poetry.get(key) is not None}
    if relevant:
        relevant["tool"] = {"poetry": tool}
    else:
        relevant = {**dict.fromkeys(_OLD_KEYS), **tool}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def _read(folder: Path) -> dict[str, Any]:
    try:
        lock = tomllib.loads((folder / POETRY_LOCK).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise stale(POETRY_LOCK, f"it is not TOML: {error}") from error
    version = str(lock.get("metadata", {}).get("lock-version", ""))
    numbers = tuple(int(part) for part in re.findall(r"\d+", version))
    if numbers[:1] != _WITH_GROUPS[:1] or numbers < _WITH_GROUPS:
        why = (
            f"its version {version or '(none)'} does not tell groups; Poetry 2 writes one that does"
        )
        raise stale(POETRY_LOCK, why)
    return lock


def _groups(package: Mapping[str, Any], wanted: Collection[str]) -> list[str]:
    """Return those of the wanted groups that a package is for."""
    return [group for group in package.get("groups", ()) if normalised(group) in wanted]


def _entry(package: Mapping[str, Any], project: Project) -> Iterator[str]:
    """Give a package's entry, one hash to a line; none for a component."""
    marker = _marker(package, _groups(package, project.groups))
    if marker is None:
        return
    requirement = _requirement(package, project)
    if not requirement:
        return
    hashes = sorted({file["hash"] for file in package.get("files", ()) if file.get("hash")})
    if not hashes:
        raise refuse_unhashed(package["name"], lock=POETRY_LOCK)
    head = f"{requirement} ; {marker}" if marker else requirement
    yield " \\\n".join([head, *(f"    --hash={each}" for each in hashes)])


def _requirement(package: Mapping[str, Any], project: Project) -> str:
    """Return what pins a package; empty for a component."""
    name, source = package["name"], package.get("source", {})
    kind, url = source.get("type", "legacy"), source.get("url", "")
    if kind == "legacy":
        return f"{name}=={package['version']}"
    if kind == "url":
        return f"{name} @ {url}"
    if kind == "file":
        return f"./{PurePosixPath(url)}"
    if kind != "directory":
        raise refuse_unhashed(name, lock=POETRY_LOCK)
    if str(PurePosixPath(url)) not in project.components:
        raise refuse_folder(url, name=name, lock=POETRY_LOCK)
    return ""


def _marker(package: Mapping[str, Any], groups: Collection[str]) -> str | None:
    """Return when a package is installed for some groups; empty for always, None for never."""
    given = package.get("markers", "")
    each = [given if isinstance(given, str) else given.get(group, "") for group in groups]
    # Extras are not groups, so what is only in some is not asked for.
    apt = [marker for marker in dict.fromkeys(each) if not _ONLY_EXTRAS.fullmatch(marker)]
    if not apt:
        return None
    if "" in apt or "*" in apt:
        return ""
    return apt[0] if len(apt) == 1 else " or ".join(f"({marker})" for marker in apt)

"""Copies of the artifacts that travel with Stepline, for their readers to change."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from stepline.app.code_store import source_files
from stepline.app.common import FOLDERS, Shipped
from stepline.app.load import MANIFEST_FILE, load_protocol
from stepline.app.new_project import check_namespace
from stepline.app.project_layout import PROTOCOL_FILES
from stepline.errors import Location, SettingsError
from stepline.model.protocol import COMMON, Protocol
from stepline.parsing.result import Parsed


def copy_artifacts(
    chosen: Sequence[Shipped], project: Path, *, namespace: str, cache_dir: Path
) -> list[Path]:
    """Copy artifacts into a project, each to where projects have them.

    Args:
        chosen: Task scripts and protocols; a protocol's steps name the copies of those task
            scripts that are copied with it.
        project: The project's folder; made if it is not there.
        namespace: Namespace of the copies.
        cache_dir: The folder of all caches.

    Returns:
        The folders of the copies.

    Raises:
        SettingsError: There is something of a copy's name, the namespace is none, or the
            folder cannot be written. Nothing is copied where a name is taken.
    """
    check_namespace(namespace)
    targets = [project / FOLDERS[each.name.kind] / each.folder.name for each in chosen]
    for target in targets:
        if os.path.lexists(target):
            raise SettingsError(
                "there is something of that name",
                where=Location(str(target)),
                hint="copy to another folder, or rename what is there",
            )
    copied = {each.name.slug for each in chosen}
    try:
        for each, target in zip(chosen, targets, strict=True):
            _copy(each.folder, target)
            if namespace != COMMON:
                _rename(target, namespace, slugs=copied, cache_dir=cache_dir)
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise SettingsError(what, where=Location(str(project))) from error
    return targets


def _copy(folder: Path, target: Path) -> None:
    """Copy the files of an artifact; their modes are those of new files, but for executables."""
    for relative, path in source_files(folder):
        copy = target / relative
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        if os.access(path, os.X_OK):
            copy.chmod(copy.stat().st_mode | 0o111)


def _rename(folder: Path, namespace: str, *, slugs: set[str], cache_dir: Path) -> None:
    """Put the copy of an artifact into another namespace."""
    manifest = folder / MANIFEST_FILE
    if manifest.is_file():
        content = {**json.loads(manifest.read_bytes()), "namespace": namespace}
        text = json.dumps(content, indent=2, ensure_ascii=False)
        manifest.write_text(f"{text}\n", encoding="utf-8")
    for path in (folder / name for name in PROTOCOL_FILES if (folder / name).is_file()):
        lines = path.read_text(encoding="utf-8").split("\n")
        # From the end on, so that places before stay what they are.
        for number, at in reversed(_namespaces(load_protocol(path, cache_dir), slugs)):
            line = lines[number]
            lines[number] = line[:at] + line[at:].replace(COMMON, namespace, 1)
        path.write_text("\n".join(lines), encoding="utf-8")


def _namespaces(parsed: Parsed[Protocol], slugs: set[str]) -> list[tuple[int, int]]:
    """Return where a protocol names the namespace of itself and of copied task scripts.

    Returns:
        Lines and columns from 0, sorted.
    """
    if parsed.value is None:
        return []
    named = [
        f"steps[{step.index}].task.namespace"
        for step in parsed.value.steps
        if step.task.namespace == COMMON and step.task.slug in slugs
    ]
    own = ["namespace"] if parsed.value.namespace == COMMON else []
    places = [parsed.locate(each) for each in (*own, *named)]
    return sorted(((place.line or 1) - 1, (place.column or 1) - 1) for place in places)

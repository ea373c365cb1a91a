"""Pinning of task scripts: from folders to versions that never change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stepline.app.code_store import store_code
from stepline.errors import ConfigError, Location
from stepline.frozen import frozen
from stepline.model.protocol import TaskReference
from stepline.parsing.references import LocalTaskScript
from stepline.ports.executor import ScriptVersion


@frozen
class PinnedScripts:
    """Task scripts as a workflow will use them.

    Attributes:
        versions: By the task that a protocol names.
        folders: Folder that each was taken from, by its digest.
    """

    versions: Mapping[TaskReference, ScriptVersion]
    folders: Mapping[str, str]


def pin_scripts(
    matches: Mapping[TaskReference, LocalTaskScript], *, default_runtime: str, cache_dir: Path
) -> PinnedScripts:
    """Copy each script by content, and settle which Python it runs on.

    Args:
        matches: The local script of each task.
        default_runtime: Python, ``3.N``, for scripts that name none.
        cache_dir: Folder of the copies.

    Raises:
        ConfigError: A script is not valid, or a link in its folder leads out of it.
        PlatformError: A folder cannot be read or copied.
    """
    stored: dict[str, tuple[str, Path]] = {}
    versions: dict[TaskReference, ScriptVersion] = {}
    for task, local in matches.items():
        if local.script is None:
            raise ConfigError("the task script is not valid", where=Location(local.path))
        if local.path not in stored:
            stored[local.path] = store_code(Path(local.path), cache_dir)
        digest, folder = stored[local.path]
        versions[task] = ScriptVersion(
            name=_name(task, local),
            digest=digest,
            folder=str(folder),
            script=local.script,
            runtime=local.script.runtime or default_runtime,
        )
    folders = {digest: path for path, (digest, _) in stored.items()}
    return PinnedScripts(versions, folders)


def _name(task: TaskReference, local: LocalTaskScript) -> str:
    if local.manifest is None:
        return str(task)
    return f"{local.manifest.namespace}/{local.manifest.slug}:{local.manifest.version}"

"""Task scripts in local folders, as images are made of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stepline.app.code_store import store_code
from stepline.app.load import MANIFEST_FILE, load_manifest, load_task_script
from stepline.errors import ConfigError
from stepline.ports.executor import ScriptVersion


def pin_folder(
    folder: Path, *, cache_dir: Path, default_runtime: str, warn: Callable[[str], None]
) -> ScriptVersion:
    """Return the task script in a folder as a version that never changes.

    Args:
        folder: The task script.
        cache_dir: Folder for what may be kept between runs.
        default_runtime: Python, ``3.N``, where it names none.
        warn: Told what the author should know.

    Raises:
        ConfigError: It is no valid task script.
        PlatformError: It cannot be read or copied.
    """
    parsed = load_task_script(folder, cache_dir)
    script = parsed.unwrap(ConfigError)
    for problem in parsed.problems:
        warn(f"{problem.where}: {problem.message}")
    digest, copy = store_code(folder, cache_dir)
    return ScriptVersion(
        name=_name(folder, cache_dir),
        digest=digest,
        folder=str(copy),
        script=script,
        runtime=script.runtime or default_runtime,
    )


def _name(folder: Path, cache_dir: Path) -> str:
    """Return what a task script is called: by its manifest, else by its folder."""
    path = folder / MANIFEST_FILE
    manifest = load_manifest(path, cache_dir).value if path.is_file() else None
    if manifest is None:
        return folder.resolve().name
    return f"{manifest.namespace}/{manifest.slug}:{manifest.version}"

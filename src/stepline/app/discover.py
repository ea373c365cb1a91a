"""Which files of a folder are ours to validate."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from stepline.app.load import CONFIG_FILE, MANIFEST_FILE, read_source
from stepline.app.project_layout import PROTOCOL_FILES
from stepline.frozen import frozen
from stepline.parsing.source import MAX_BYTES

_SKIPPED = ("node_modules", "__pycache__", "venv", "site-packages")
_ENVIRONMENT_MARK = "pyvenv.cfg"
_BESIDE_CONFIG = ("main.py", "requirements.txt")
_PIPELINES = "pipelines"
_BLOCK_KEY = re.compile(r"""^\ufeff?["']?(\w+)["']?[ \t]*:(?=\s)""", re.MULTILINE)
_BESIDE_MANIFEST = (*PROTOCOL_FILES, *_BESIDE_CONFIG)


class Kind(Enum):
    """What a file is taken for."""

    PROTOCOL = "protocol"
    CONFIG = "config"
    MANIFEST = "manifest"
    PIPELINE = "pipeline"


@frozen
class Found:
    """A file to validate."""

    path: Path
    kind: Kind


def find_files(folder: Path) -> Iterator[Found]:
    """Yield the protocols, config.json and manifest.json files below a folder, sorted.

    Hidden folders, environments and ``node_modules`` are left out; links to folders
    are not followed. A config.json counts if it has ``functions`` or ``language``, or
    lies beside main.py or requirements.txt; a manifest.json if it lies beside a protocol
    or a task script, or has ``namespace`` and ``slug``.
    """
    for home, folders, names in os.walk(folder):
        if _ENVIRONMENT_MARK in names:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not _is_skipped(name))
        yield from _in_folder(Path(home), set(names))


def kind_of_file(path: Path) -> Kind | None:
    """Return what a file that is named by itself is taken for, by its name and content."""
    if path.name == MANIFEST_FILE:
        return Kind.MANIFEST
    if path.name in PROTOCOL_FILES:
        return Kind.PROTOCOL
    if path.name == CONFIG_FILE:
        return Kind.CONFIG
    if path.suffix in (".yml", ".yaml"):
        return Kind.PIPELINE if _is_pipeline(path, _yaml_keys(path)) else Kind.PROTOCOL
    keys = _top_keys(path) if path.suffix == ".json" else set()
    if "protocolSchema" in keys:
        return Kind.PROTOCOL
    if keys & {"functions", "language"}:
        return Kind.CONFIG
    if {"namespace", "slug"} <= keys:
        return Kind.MANIFEST
    return Kind.PIPELINE if keys and _is_pipeline(path, keys) else None


def is_task_script(folder: Path) -> bool:
    """Tell whether a folder is a task script."""
    config = folder / CONFIG_FILE
    return config.is_file() and _is_config(config, {entry.name for entry in folder.iterdir()})


def _in_folder(home: Path, names: set[str]) -> Iterator[Found]:
    has_config = CONFIG_FILE in names and _is_config(home / CONFIG_FILE, names)
    if has_config:
        yield Found(home / CONFIG_FILE, Kind.CONFIG)
    if MANIFEST_FILE in names and (has_config or _is_manifest(home / MANIFEST_FILE, names)):
        yield Found(home / MANIFEST_FILE, Kind.MANIFEST)
    for name in PROTOCOL_FILES:
        if name in names:
            yield Found(home / name, Kind.PROTOCOL)


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED


def _is_config(path: Path, names: set[str]) -> bool:
    if names.intersection(_BESIDE_CONFIG):
        return True
    return bool(_top_keys(path) & {"functions", "language"})


def _is_manifest(path: Path, names: set[str]) -> bool:
    return bool(names.intersection(_BESIDE_MANIFEST)) or {"namespace", "slug"} <= _top_keys(path)


def _is_pipeline(path: Path, keys: set[str]) -> bool:
    """Tell a pipeline from a protocol, also where the keys that tell them apart are mistyped."""
    if "protocolSchema" in keys:
        return False
    return bool(keys & {"protocol", "trigger"}) or path.resolve().parent.name == _PIPELINES


def _yaml_keys(path: Path) -> set[str]:
    """Return the keys of a YAML file; none if it cannot be read."""
    data, problem = read_source(path)
    if problem is not None:
        return set()
    text = data.decode("utf-8", "replace")
    keys = set(_BLOCK_KEY.findall(text))
    if keys:
        return keys
    # Rarely are the keys elsewhere than at the start of lines; then YAML has to be read.
    from stepline.parsing.nodes import Mapping
    from stepline.parsing.yaml_tree import parse_yaml

    root = parse_yaml(text.removeprefix("\ufeff"), path=str(path)).root
    return set(root.entries) if isinstance(root, Mapping) else set()


def _top_keys(path: Path) -> set[str]:
    """Return the keys of a JSON file; none if it cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return set()
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return set()
    return set(content) if isinstance(content, dict) else set()

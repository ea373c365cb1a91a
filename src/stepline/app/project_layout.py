"""Where a project keeps its protocols, task scripts and tests."""

from __future__ import annotations

from pathlib import Path

PROTOCOL_FILES = ("protocol.yml", "protocol.yaml", "protocol.json")
PROTOCOLS_FOLDER = "protocols"
SCRIPTS_FOLDER = "task-scripts"
TESTS_FOLDER = "tests"


def scripts_folder(protocol: Path) -> Path | None:
    """Return the nearest folder ``task-scripts`` above a protocol's file, or None."""
    homes = (parent / SCRIPTS_FOLDER for parent in protocol.absolute().parents)
    return next((home for home in homes if home.is_dir()), None)


def project_around(script: Path) -> Path | None:
    """Return the nearest folder above a task script that is a project, or None.

    Args:
        script: The task script's folder.
    """
    names = (SCRIPTS_FOLDER, PROTOCOLS_FOLDER)
    above = script.resolve().parents
    return next((home for home in above if any((home / name).is_dir() for name in names)), None)

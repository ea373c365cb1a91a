"""Where a project keeps its protocols and task scripts."""

from __future__ import annotations

from pathlib import Path

PROTOCOL_FILES = ("protocol.yml", "protocol.yaml", "protocol.json")
SCRIPTS_FOLDER = "task-scripts"


def scripts_folder(protocol: Path) -> Path | None:
    """Return the nearest folder ``task-scripts`` above a protocol's file, or None."""
    homes = (parent / SCRIPTS_FOLDER for parent in protocol.absolute().parents)
    return next((home for home in homes if home.is_dir()), None)

"""Room on the disk that the service stands on."""

from __future__ import annotations

import shutil
from pathlib import Path

LEAST_BYTES = 10 * 1024 * 1024


def space_problem(folder: Path | str) -> str:
    """Return what is wrong with the disk of a folder; empty while there is room.

    Args:
        folder: A folder on it.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return f"the folder '{folder}' cannot be looked at: {error.strerror}"
    if free >= LEAST_BYTES:
        return ""
    return (
        f"the disk of '{folder}' is full: {free:,} bytes are free; "
        "nothing new can be kept until there is room"
    )

"""Wheels that were built here, by code of others: read with bounds, and only where whole."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Collection
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

_METADATA = ".dist-info/METADATA"
_MOST_METADATA_BYTES = 4 * 1024 * 1024
# Nobody ships such a wheel; it would fill the disk, or never end to be read.
_MOST_BYTES = 4 * 1024**3
_BLOCK = 1 << 20


def is_file(path: Path) -> bool:
    """Tell whether a path is a plain file: no link, and nothing that blocks who opens it."""
    return stat.S_ISREG(os.lstat(path).st_mode)


def is_whole(wheel: Path) -> bool:
    """Tell whether a wheel is a plain file that can be read to its end."""
    try:
        return is_file(wheel) and bool(read_metadata(wheel)["Name"])
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
        return False


def read_metadata(wheel: Path) -> Message:
    """Return what a wheel tells of itself.

    Raises:
        ValueError: It tells nothing.
        zipfile.BadZipFile: It is no wheel.
    """
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(_METADATA))
        with archive.open(name) as file:
            text = file.read(_MOST_METADATA_BYTES).decode("utf-8", "replace")
    return HeaderParser().parsestr(text)


def unpacked_size(wheel: Path) -> int:
    """Return how many bytes a wheel says that its files have."""
    with zipfile.ZipFile(wheel) as archive:
        return sum(info.file_size for info in archive.infolist())


def is_too_large(wheel: Path) -> bool:
    """Tell whether the files of a wheel have more bytes than are ever unpacked."""
    return unpacked_size(wheel) > _MOST_BYTES


def find_text(wheel: Path, texts: Collection[str]) -> str | None:
    """Return the name of a file in a wheel that holds one of several texts, or None."""
    needles = [text.encode() for text in texts]
    with zipfile.ZipFile(wheel) as archive:
        return next(
            (info.filename for info in archive.infolist() if _holds(archive, info, needles)), None
        )


def _holds(archive: zipfile.ZipFile, info: zipfile.ZipInfo, needles: Collection[bytes]) -> bool:
    if any(needle in info.filename.encode() for needle in needles):
        return True
    longest = max(map(len, needles), default=1)
    with archive.open(info) as file:
        before = b""
        while block := file.read(_BLOCK):
            both = before + block
            if any(needle in both for needle in needles):
                return True
            before = both[-longest:]
    return False

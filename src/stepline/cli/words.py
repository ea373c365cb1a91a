"""Words of commands: names with values, and how files are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stepline.cli.display import printable
from stepline.errors import SettingsError


def pairs_of(words: Iterable[str], *, option: str) -> list[tuple[str, str]]:
    """Return ``NAME=VALUE`` words as pairs; a name may come several times.

    Raises:
        SettingsError: A word has no ``=``, or nothing before it.
    """
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise SettingsError(f"{option} {word} has no '='", hint="write NAME=VALUE")
        pairs.append((name, value))
    return pairs


def path_shown(info: Mapping[str, Any]) -> str:
    """Return what people call a file: source id, category and path."""
    key = str(
        (info.get("file") or {}).get("path") or info.get("fileKey") or info.get("filePath", "")
    )
    return printable(key.partition("/")[2] or key)


def size_shown(size: int) -> str:
    """Return a size in bytes for people."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"

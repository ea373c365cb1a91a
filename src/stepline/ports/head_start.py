"""Starting early what a command is about to need, from what it needed last time.

A worker takes as long to start as the command line takes to find out which one it
needs. So an executor leaves a hint about the worker that it started; when the same words
are typed in the same folder again, the worker starts first and the rest follows. A hint
only saves time: what it started is used if it is just what is needed, and ended if not.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_FOLDER = "head-start"
_MOST = 200

_file: Path | None = None
_words: list[str] = []


def read_hint(words: Sequence[str], *, cache_dir: Path) -> Mapping[str, Any] | None:
    """Return the hint that the same command left, if it left one.

    Args:
        words: The command's words.
        cache_dir: Folder for what may be kept between runs.
    """
    global _file, _words
    _words = [os.getcwd(), *words]
    _file = cache_dir / _FOLDER / f"{zlib.crc32(json.dumps(_words).encode()):08x}.json"
    try:
        with open(_file, encoding="utf-8") as file:
            hint = json.load(file)
        return hint if hint["words"] == _words else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def leave_hint(module: str, what: Mapping[str, Any]) -> None:
    """Leave a hint for the next time that the same command is given.

    Args:
        module: Module whose function ``begin(what)`` starts it.
        what: Plain data.
    """
    if _file is None:
        return
    partial = _file.with_name(f"{_file.name}.{os.getpid()}")
    try:
        _file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.touch(mode=0o600)
        partial.write_text(json.dumps({"words": _words, "module": module, "what": what}))
        partial.replace(_file)
        _forget_oldest(_file.parent)
    except OSError:
        pass  # a hint that cannot be left only costs time


def _forget_oldest(folder: Path) -> None:
    """Keep the number of hints within a bound: of too many, the older half goes."""
    hints = list(os.scandir(folder))
    if len(hints) <= _MOST:
        return
    hints.sort(key=lambda hint: hint.stat().st_mtime_ns)
    for hint in hints[: len(hints) // 2]:
        os.unlink(hint)

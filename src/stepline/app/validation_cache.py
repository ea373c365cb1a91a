"""What validation found, kept by content, so that an unchanged file is not read again.

An entry is a JSON file ``validated/<key>.json``. Its key covers the content and the code
that judges it. Whatever is wrong with the cache, validation goes on without it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import stepline
from stepline.errors import Location, Problem
from stepline.model.protocol import Step, TaskReference
from stepline.parsing.result import Parsed

T = TypeVar("T")

MAX_ENTRIES = 1000
_JUDGES = ("errors.py", "expressions", "model", "parsing")


def cached(
    kind: str,
    data: bytes,
    *,
    path: str,
    cache_dir: Path,
    parse: Callable[[], Parsed[T]],
    to_plain: Callable[[T], Any],
    from_plain: Callable[[Any], T],
) -> Parsed[T]:
    """Return what parsing gives, from the cache if the same content was parsed before.

    Args:
        kind: What the content is taken for.
        data: The content.
        path: The file's path, which places in the result carry.
        cache_dir: The folder of all caches.
        parse: Parses the content.
        to_plain: Turns a parsed value into JSON.
        from_plain: Turns it back.
    """
    entry = _entry(kind, data, cache_dir)
    kept = _read(entry)
    if kept is not None:
        try:
            return _restored(kept, path, from_plain)
        except (KeyError, TypeError, ValueError, AttributeError):
            pass  # A damaged entry is as good as none.
    parsed = parse()
    _write(entry, _plain(parsed, to_plain))
    return parsed


def cached_problems(
    kind: str, data: bytes, *, cache_dir: Path, check: Callable[[], list[Problem]]
) -> list[Problem]:
    """Return the problems that a check finds, from the cache if it saw the same before.

    Args:
        kind: Name of the check.
        data: All that the check depends on, paths included.
        cache_dir: The folder of all caches.
        check: Does the check.
    """
    parsed = cached(
        kind,
        data,
        path="",
        cache_dir=cache_dir,
        parse=lambda: Parsed(None, tuple(check())),
        to_plain=lambda value: value,
        from_plain=lambda value: value,
    )
    return list(parsed.problems)


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """Return what changes whenever the code that judges files changes."""
    home = Path(stepline.__file__).parent
    newest = max(_changed_ns(home / name) for name in _JUDGES)
    return f"{stepline.__version__}:{newest}"


def _changed_ns(path: Path) -> int:
    """Return the newest time of change of a file, or of a folder's files, ns since 1970."""
    if path.suffix:
        return path.stat().st_mtime_ns
    with os.scandir(path) as entries:
        return max(entry.stat().st_mtime_ns for entry in entries)


def _entry(kind: str, data: bytes, cache_dir: Path) -> Path:
    head = f"{kind}\0{fingerprint()}\0".encode()
    return cache_dir / "validated" / f"{hashlib.sha256(head + data).hexdigest()}.json"


def _plain(parsed: Parsed[T], to_plain: Callable[[T], Any]) -> dict[str, Any]:
    return {
        "value": None if parsed.value is None else to_plain(parsed.value),
        "problems": [problem.to_cache() for problem in parsed.problems],
        "path": parsed.path,
        "positions": parsed.positions,
        "steps": [[step.index, step.id, vars(step.task)] for step in parsed.steps],
    }


def _restored(kept: dict[str, Any], path: str, from_plain: Callable[[Any], T]) -> Parsed[T]:
    problems = [Problem.from_cache(problem) for problem in kept["problems"]]
    value = kept["value"]
    return Parsed(
        None if value is None else from_plain(value),
        tuple(_moved(problem, kept["path"], path) for problem in problems),
        path,
        {key: (line, column) for key, (line, column) in kept["positions"].items()},
        tuple(Step(index, TaskReference(**task), name) for index, name, task in kept["steps"]),
    )


def _moved(problem: Problem, old: str, new: str) -> Problem:
    """Return a problem of the file that the content is read from this time."""
    if old == new or problem.where.path != old:
        return problem
    from dataclasses import replace

    where = Location(new, problem.where.line, problem.where.column)
    return replace(problem, where=where)


def _read(entry: Path) -> dict[str, Any] | None:
    try:
        kept = json.loads(entry.read_bytes())
    except (OSError, ValueError):
        return None
    return kept if isinstance(kept, dict) else None


def _write(entry: Path, content: dict[str, Any]) -> None:
    """Write an entry so that nobody ever sees half of it."""
    draft = entry.with_suffix(f".{os.getpid()}.tmp")
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        _prune(entry.parent)
        draft.write_text(json.dumps(content), encoding="utf-8")
        os.replace(draft, entry)
    except OSError:
        try:
            draft.unlink(missing_ok=True)
        except OSError:
            pass  # An unwritable cache is left alone.


def _prune(folder: Path) -> None:
    """Remove the older half once there are too many entries."""
    with os.scandir(folder) as found:
        entries = list(found)
    if len(entries) < MAX_ENTRIES:
        return
    entries.sort(key=lambda entry: entry.stat().st_mtime_ns)
    for entry in entries[: len(entries) // 2]:
        os.unlink(entry.path)

"""Removing folders of the cache so that nobody ever takes half a folder for a whole one."""

from __future__ import annotations

import os
import re
from contextlib import suppress

from stepline.ports.freed import Freed
from stepline.ports.use_marks import unused

_ASIDE = ".removed-"


def remove_unused_folders(
    root: str, wanted: re.Pattern[str], *, keep: frozenset[str], before: float, dry_run: bool
) -> Freed:
    """Remove folders that nobody uses, nor did since a time.

    A folder gets another name before it is emptied, so a process that is killed meanwhile
    leaves nothing that anybody would use; the next removal finishes that.

    Args:
        root: What they lie in; it need not exist.
        wanted: Names of folders to look at.
        keep: Names of folders that stay.
        before: Seconds since the epoch.
        dry_run: Whether to remove nothing, and only tell what would be.

    Raises:
        OSError: Something cannot be looked at or removed; the rest stays.
    """
    freed = Freed()
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else ():
        path = os.path.join(root, name)
        if name.startswith(_ASIDE) and not dry_run:
            _remove(path)
        elif wanted.fullmatch(name) and name not in keep and os.path.isdir(path):
            freed += _remove_unused(path, before=before, dry_run=dry_run)
    return freed


def _remove_unused(path: str, *, before: float, dry_run: bool) -> Freed:
    aside = os.path.join(os.path.dirname(path), f"{_ASIDE}{os.urandom(8).hex()}")
    with unused(path, before=before) as may_go:
        if not may_go:
            return Freed()
        if dry_run:
            return Freed(1, _size(path))
        os.rename(path, aside)
    freed = Freed(1, _size(aside))
    _remove(aside)
    return freed


def _size(folder: str) -> int:
    """Return the bytes that go with a folder: not those of files with names elsewhere too."""
    size = 0
    for base, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                status = os.lstat(os.path.join(base, name))
                size += status.st_size if status.st_nlink == 1 else 0
    return size


def _remove(folder: str) -> None:
    import shutil

    # Another process may be at the same.
    with suppress(FileNotFoundError):
        for base, _, _ in os.walk(folder):
            os.chmod(base, 0o700)
        shutil.rmtree(folder)

"""Removal of copies of task scripts that nobody needs any more."""

from __future__ import annotations

import re
from pathlib import Path

from stepline.errors import PlatformError
from stepline.ports.freed import Freed
from stepline.ports.removal import remove_unused_folders

# Copies, and what processes that were killed have left of some.
_NAMES = re.compile(r"[0-9a-f]{64}|\.(partial|changed)-.+")


def remove_unused_code(
    in_use: frozenset[str], cache_dir: Path, *, before: float, dry_run: bool
) -> Freed:
    """Remove copies that `store_code` made, and nobody uses, nor did since a time.

    Args:
        in_use: Digests of copies that stay.
        cache_dir: Folder of the cache.
        before: Seconds since the epoch.
        dry_run: Whether to remove nothing, and only tell what would be.

    Raises:
        PlatformError: A copy cannot be removed; the rest stays.
    """
    keep = frozenset(digest.removeprefix("sha256:") for digest in in_use)
    try:
        return remove_unused_folders(
            str(cache_dir / "code"), _NAMES, keep=keep, before=before, dry_run=dry_run
        )
    except OSError as error:
        raise PlatformError(
            f"copies of task scripts cannot be removed: {error.strerror}: '{error.filename}'",
            hint="look at the permissions of the cache",
        ) from error

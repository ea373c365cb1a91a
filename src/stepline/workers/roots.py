"""Folders of workers, below the machine's folder for temporary files."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress

from stepline.errors import PlatformError

_PREFIX = "stepline-"
# Far longer than passes between making a folder and starting the worker in it.
_FORSAKEN_S = 1.0


def root_name(environ: Mapping[str, str]) -> str:
    """Return a path that nothing has yet, to be the folder of a worker.

    It is in TMPDIR, or in ``/tmp`` where that is no full path of a folder.
    """
    temporary = environ.get("TMPDIR", "")
    if not (os.path.isabs(temporary) and os.path.isdir(temporary)):
        temporary = "/tmp"
    return os.path.join(temporary, f"{_PREFIX}{os.getpid()}-{os.urandom(4).hex()}")


def make_root(root: str) -> None:
    """Make the folder of a worker, for its owner alone.

    Raises:
        PlatformError: It cannot be made.
    """
    try:
        os.mkdir(root, 0o700)
    except OSError as error:
        raise PlatformError(
            f"the folder {root} for tasks cannot be made: {error.strerror}",
            hint="have TMPDIR name a folder with room that you may write to",
        ) from error


def remove_forsaken(root: str) -> None:
    """Remove empty folders of platforms that were killed before a worker was in them.

    A worker that has begun removes its folder itself, whatever becomes of the platform.

    Args:
        root: A path that `root_name` gave; the folders are beside it.
    """
    parent = os.path.dirname(root)
    try:
        names = [name for name in os.listdir(parent) if name.startswith(_PREFIX)]
    except OSError:
        return
    for name in names:
        pid, _, rest = name.removeprefix(_PREFIX).partition("-")
        if rest and pid.isdecimal() and not os.path.exists(f"/proc/{pid}"):
            _remove_if_empty(os.path.join(parent, name))


def _remove_if_empty(folder: str) -> None:
    with suppress(OSError):
        # Where processes of others cannot be seen, one of them may be about to use it.
        if time.time() - os.lstat(folder).st_mtime > _FORSAKEN_S:
            os.rmdir(folder)

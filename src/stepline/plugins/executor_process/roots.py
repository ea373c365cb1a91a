"""Folders of workers, below the machine's folder for temporary files."""

from __future__ import annotations

import os
from collections.abc import Mapping

from stepline.errors import PlatformError


def root_name(environ: Mapping[str, str]) -> str:
    """Return a path that nothing has yet, to be the folder of a worker.

    It is in TMPDIR, or in ``/tmp`` where that is no full path of a folder.
    """
    temporary = environ.get("TMPDIR", "")
    if not (os.path.isabs(temporary) and os.path.isdir(temporary)):
        temporary = "/tmp"
    return os.path.join(temporary, f"stepline-{os.getpid()}-{os.urandom(4).hex()}")


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

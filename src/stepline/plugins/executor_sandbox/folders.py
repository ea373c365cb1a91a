"""Folders that the platform shares with sandboxes: one for each."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress

from stepline.workers import inside
from stepline.workers.folders import remove_folder

_PREFIX = "stepline-sandbox-"


class SharedFolders:
    """The folders that sandboxes share with the platform.

    Args:
        root: Where they are, nobody else's; empty for a temporary folder.
        environ: Environment of the platform.
    """

    def __init__(self, root: str, environ: Mapping[str, str]) -> None:
        self._given = root
        self._root = root
        self._temporary = environ.get("TMPDIR") or tempfile.gettempdir()
        self._lock = threading.Lock()

    def make(self, *, for_user: bool) -> str:
        """Return a new folder; what is in it may be written by the user of tasks."""
        with self._lock:
            if not self._root:
                prefix = f"{_PREFIX}{os.getpid()}-"
                self._root = tempfile.mkdtemp(prefix=prefix, dir=self._temporary)
        path = os.path.join(self._root, f"sandbox-{os.urandom(6).hex()}")
        os.makedirs(path, mode=0o700)
        if for_user:
            os.chown(path, inside.USER, inside.GROUP)
        return path

    def remove_forsaken(self) -> None:
        """Remove temporary folders of this user's platforms that are gone."""
        with suppress(OSError):
            for entry in list(os.scandir(self._temporary)):
                pid = entry.name.removeprefix(_PREFIX).partition("-")[0]
                if not entry.name.startswith(_PREFIX) or not pid.isdecimal():
                    continue
                own = entry.stat(follow_symlinks=False).st_uid == os.geteuid()
                if own and not os.path.exists(f"/proc/{pid}"):
                    remove_folder(entry.path)

    def close(self) -> None:
        """Remove a temporary root with all that is in it."""
        if self._root != self._given:
            remove_folder(self._root)
            self._root = self._given

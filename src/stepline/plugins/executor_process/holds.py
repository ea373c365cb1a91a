"""Folders of the cache that this process uses, so that nobody removes them meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Set

from stepline.ports.use_marks import hold


class Holds:
    """Holds folders, each until it is released; several threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}

    def add(self, folder: str, *, make: bool = True) -> None:
        """Hold a folder; look afterwards whether it is there.

        Args:
            folder: The folder.
            make: Whether also one that nobody has marked as one of the cache.
        """
        with self._lock:
            held = self._held.get(folder)
            if held is not None:
                # Should it be released in a moment, it was still used just now.
                os.utime(held)
                return
        descriptor = hold(folder, make=make)
        if descriptor is None:
            return
        with self._lock:
            first = self._held.setdefault(folder, descriptor)
        if first != descriptor:
            os.close(descriptor)

    def release(self, *, but: Set[str]) -> None:
        """Let go of all folders but some."""
        with self._lock:
            for folder in self._held.keys() - but:
                os.close(self._held.pop(folder))

"""The service's adapters, with the store's publishing as commit points."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, cast

from stepline.bootstrap import Plugins
from stepline.ports.durable_files import DurableFileStore
from stepline.server.selftest.points import Side, Watch


class WatchedPlugins(Plugins):
    """Plugins whose file store is watched.

    Args:
        cache_dir: Where the list of entry points is kept.
        watch: Told of each publishing.
    """

    def __init__(self, cache_dir: Path, watch: Watch) -> None:
        super().__init__(cache_dir, os.environ)
        self._watch = watch

    def file_store(self, folder: Path) -> DurableFileStore:
        """Return the service's file store."""
        return cast(DurableFileStore, _WatchedStore(super().file_store(folder), self._watch))


class _WatchedStore:
    def __init__(self, store: DurableFileStore, watch: Watch) -> None:
        self._store = store
        self._watch = watch

    def staging(self) -> _WatchedStaging:
        return _WatchedStaging(self._store.staging(), self._watch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class _WatchedStaging:
    def __init__(self, staging: Any, watch: Watch) -> None:
        self._staging = staging
        self._watch = watch
        self._is_empty = True

    def add(self, path: str, *, move: bool = False) -> Any:
        self._is_empty = False
        return self._staging.add(path, move=move)

    def publish(self) -> None:
        if self._is_empty:
            self._staging.publish()
            return
        frame = sys._getframe(1)
        module = frame.f_globals["__name__"].removeprefix("stepline.")
        kind = f"{module}.{frame.f_code.co_qualname}: store.publish"
        self._watch.pass_by(kind, Side.BEFORE)
        self._staging.publish()
        self._watch.pass_by(kind, Side.AFTER)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._staging, name)

"""The service's adapters: publishing of the store is a commit point, containers see the marks."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from stepline.bootstrap import Plugins
from stepline.ports.durable_files import DurableFileStore
from stepline.ports.engine import Container, ContainerEngine, ContainerSpec, Mount
from stepline.server.selftest.places import Places
from stepline.server.selftest.points import Side, Watch


class WatchedPlugins(Plugins):
    """Plugins whose file store is watched, and whose containers share a folder of the test.

    Args:
        places: Where everything is.
        watch: Told of each publishing.
    """

    def __init__(self, places: Places, watch: Watch) -> None:
        super().__init__(places.cache, os.environ, places.settings)
        self._places = places
        self._watch = watch

    def engine(self, name: str = "docker") -> ContainerEngine:
        """Return the container engine."""
        return cast(ContainerEngine, _MarkingEngine(super().engine(name), self._places.marks))

    def file_store(self, folder: Path) -> DurableFileStore:
        """Return the service's file store."""
        return cast(DurableFileStore, _WatchedStore(super().file_store(folder), self._watch))


class _MarkingEngine:
    """An engine in whose containers tasks can note that they failed."""

    def __init__(self, engine: ContainerEngine, marks: Path) -> None:
        self._engine = engine
        self._marks = str(marks)

    def start(self, spec: ContainerSpec) -> Container:
        mount = Mount(source=self._marks, target=self._marks, read_only=False)
        return self._engine.start(replace(spec, mounts=[*spec.mounts, mount]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


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

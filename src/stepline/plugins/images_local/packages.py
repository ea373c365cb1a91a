"""The layer of a task script's requirements: locked, installed and packed once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stepline.errors import ConfigError
from stepline.frozen import frozen
from stepline.model.image import Layer, LayerKind
from stepline.packages.uv import mask_credentials
from stepline.plugins.images_local.configs import canonical
from stepline.plugins.images_local.locking import (
    WithoutWheel,
    asks_for_nothing,
    is_direct,
    lock_key,
    lock_requirements,
    refuse_outside_lock,
    source_entries,
)
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.tars import write_folder
from stepline.plugins.images_local.wheel_files import is_whole
from stepline.plugins.images_local.wheels import Place, install_wheels, with_full_paths
from stepline.ports.images import Tell

if TYPE_CHECKING:
    from stepline.plugins.images_local.components import Component

BuildWheels = Callable[[Sequence[str], Path, Path], None]
"""Builds wheels of requirements into a folder, given also the task script's folder."""

WHEELS = "wheels"
"""Folder of the wheels that were built here, by the key of their lock."""

LOCKS = "locks"
"""Kind of the notes about locks."""

_MOST_BUILT = 20


@frozen
class Locked:
    """A lock, and where the wheels of it are that were built here.

    Attributes:
        text: Pinned requirements with hashes; empty for none.
        wheels: Folder of wheels; None for none.
    """

    text: str
    wheels: Path | None = None


class PackageLayers:
    """Locks and layers of Python packages, each made once.

    Args:
        store: Keeps them.
        place: Where in the image packages go.
        environ: Environment of the platform.
        build_wheels: Makes wheels where the package index has none.
        tell: Takes lines about what is going on.
    """

    def __init__(
        self,
        store: LayerStore,
        place: Place,
        *,
        environ: Mapping[str, str],
        build_wheels: BuildWheels,
        tell: Tell,
    ) -> None:
        self._store = store
        self._place = place
        self._environ = environ
        self._build_wheels = build_wheels
        self._tell = tell

    def lock(self, folder: Path, components: Sequence[Component] = ()) -> Locked:
        """Return the lock of a folder's requirements.txt, the one from before if it is unchanged.

        Args:
            folder: The task script's folder.
            components: What is installed beside it; what they require is in the lock.

        Raises:
            ConfigError: The requirements cannot be met.
            PlatformError: The package index cannot be used.
        """
        if not components and asks_for_nothing(folder):
            return Locked("")
        key = lock_key(folder, runtime=self._place.runtime)
        if components:
            each = [[component.requirement, component.source] for component in components]
            key = hashlib.sha256(canonical([key, each]).encode()).hexdigest()
        with self._store.lock(f"lock-{key}"):
            note = self._store.note(LOCKS, key)
            whole = self._has_wheels(key, note.get("wheels", ()) if note else ())
            if note is not None and whole:
                return Locked(str(note["lock"]), self._wheels(key))
            self._tell("locking the requirements")
            locked = self._new_lock(folder, key, components)
            if locked.text == mask_credentials(locked.text):
                built = [path.name for path in self._built(key)]
                self._store.put_note(LOCKS, key, note={"lock": locked.text, "wheels": built})
        return locked

    def check(self, lock: str, folder: Path, *, components: Sequence[Component]) -> None:
        """Refuse a project's lock that lacks what components require beside it.

        Args:
            lock: The lock, without components.
            folder: The task script's folder.
            components: All components.

        Raises:
            ConfigError: A component requires a package, or a version, that is not in it.
            PlatformError: The package index cannot be used.
        """
        from stepline.plugins.images_local.conflicts import refuse_unlocked

        # Hashes make uv want one of each component too, which the lock does not have.
        bare = re.sub(r" \\\n +--hash=\S+", "", lock)
        with self._store.temporary() as work:
            file = work / "locked.txt"
            file.write_text(with_full_paths(bare, folder), encoding="utf-8")
            whole = lock_requirements(
                folder,
                runtime=self._place.runtime,
                environ=self._environ,
                components=components,
                requirements=file,
            )
        refuse_unlocked(whole, lock=lock, components=components)

    def layer(self, lock: Locked, folder: Path) -> Layer | None:
        """Return the layer of a lock's packages; None for a lock without any.

        Args:
            lock: The lock.
            folder: The task script's folder, where local files of the lock are.

        Raises:
            ConfigError: A package cannot be installed, or its file is not in the folder.
            PlatformError: The package index cannot be used, or the disk is full.
        """
        if not lock.text.strip():
            return None
        refuse_outside_lock(lock.text, folder)
        key = hashlib.sha256(canonical([lock.text, vars(self._place)]).encode()).hexdigest()
        with self._store.lock(f"packages-{key}"):
            if (layer := self._store.noted_layer("packages", key)) is not None:
                self._tell("requirements: unchanged")
                return layer
            self._tell(f"installing {_count(lock.text)}")
            layer = self._new_layer(lock, folder)
            self._store.put_note("packages", key, note=layer.to_plain())
        return layer

    def _new_lock(self, folder: Path, key: str, components: Sequence[Component]) -> Locked:
        """Lock, and have wheels built until there is no requirement without."""
        overrides: dict[str, list[str]] = {}
        while True:
            text, fault = self._try_lock(folder, key, components, overrides=overrides)
            lacking = fault.requirements if fault else source_entries(text, folder)
            if not lacking:
                return Locked(text, self._wheels(key))
            if overrides.keys() >= set(lacking) or len(overrides) > _MOST_BUILT:
                named = mask_credentials(", ".join(lacking))
                raise fault or ConfigError(f"no wheel that was built is one of {named}")
            for requirement in lacking:
                built = self._build(requirement, folder, key=key)
                overrides[requirement] = built if is_direct(requirement) else []

    def _try_lock(
        self,
        folder: Path,
        key: str,
        components: Sequence[Component],
        *,
        overrides: Mapping[str, Sequence[str]],
    ) -> tuple[str, WithoutWheel | None]:
        """Return a lock, or the error that tells which requirements have no wheel."""
        try:
            lock = lock_requirements(
                folder,
                runtime=self._place.runtime,
                environ=self._environ,
                wheels=self._wheels(key),
                components=components,
                overrides=[pin for pins in overrides.values() for pin in pins],
            )
        except WithoutWheel as error:
            return "", error
        return lock, None

    def _build(self, requirement: str, folder: Path, *, key: str) -> list[str]:
        """Build the wheel of a requirement for a lock; return its name and version."""
        named = mask_credentials(requirement.partition(" --hash")[0])
        self._tell(f"no wheel of {named}: building from source")
        target = self._store.folder / WHEELS / key
        with self._store.temporary() as work:
            self._build_wheels([requirement], work, folder)
            wheels = [self._store.keep(each, target / each.name) for each in work.glob("*.whl")]
        return ["==".join(wheel.name.split("-")[:2]) for wheel in wheels]

    def _has_wheels(self, key: str, names: Collection[str]) -> bool:
        """Tell whether the wheels that were built for a lock are there; remove torn ones."""
        whole = {path.name for path in self._built(key) if is_whole(path)}
        for path in self._built(key):
            if path.name not in whole:
                path.unlink()
        return whole >= set(names)

    def _built(self, key: str) -> list[Path]:
        return sorted((self._store.folder / WHEELS / key).glob("*.whl"))

    def _wheels(self, key: str) -> Path | None:
        """Return the folder of the wheels that were built for a lock, which is its alone.

        Another task script's may be of an index that this one does not trust.
        """
        folder = self._store.folder / WHEELS / key
        return folder if folder.is_dir() else None

    def _new_layer(self, lock: Locked, folder: Path) -> Layer:
        with self._store.temporary() as work:
            root = work / "root"
            root.mkdir()
            install_wheels(
                lock.text,
                root,
                place=self._place,
                folder=folder,
                environ=self._environ,
                wheels=lock.wheels,
            )
            return pack(self._store, root, kind=LayerKind.REQUIREMENTS, work=work)


def pack(store: LayerStore, root: Path, *, kind: LayerKind, work: Path) -> Layer:
    """Make a layer of a folder that stands for an image's root.

    Args:
        store: Takes the layer.
        root: The folder.
        kind: What it holds.
        work: A folder of the store's temporary ones.
    """
    tar = work / "layer.tar"
    with tar.open("wb") as file:
        write_folder(root, file, prefix="")
    return store.add(tar, kind)


def _count(lock: str) -> str:
    count = sum(1 for line in lock.splitlines() if line[:1].strip() not in ("", "#", "-"))
    return "1 package" if count == 1 else f"{count} packages"

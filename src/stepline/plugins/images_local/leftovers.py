"""Removal of wheels that were built here, for images that are gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from stepline.model.image import ImageBuild
from stepline.plugins.images_local.components import COMPONENTS, component_key
from stepline.plugins.images_local.packages import LOCKS, WHEELS
from stepline.plugins.images_local.store import LayerStore
from stepline.workers.folders import remove_folder

_SOURCE = "sha256:"


def remove_unused_wheels(store: LayerStore, builds: Sequence[ImageBuild]) -> int:
    """Remove wheels of components and locks that no image's record names.

    Args:
        store: Has them; nobody may build meanwhile.
        builds: All images.

    Returns:
        The freed bytes.
    """
    parts = [(value, each.image.runtime) for each in builds for value in each.parts.values()]
    sources = [(value.rpartition(" ")[2], runtime) for value, runtime in parts]
    components = {component_key(*each) for each in sources if each[0].startswith(_SOURCE)}
    freed = sum(_remove(each) for each in _others(store.folder / COMPONENTS, components))
    locks = {each.lock for each in builds}
    for folder in _others(store.folder / WHEELS, ()):
        note = store.note(LOCKS, folder.name)
        if note is None or note["lock"] not in locks:
            freed += _remove(folder)
            store.remove_note(LOCKS, folder.name)
    return freed


def _others(folder: Path, kept: Collection[str]) -> list[Path]:
    return [each for each in folder.glob("*") if each.name not in kept]


def _remove(folder: Path) -> int:
    size = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
    remove_folder(folder)
    return size

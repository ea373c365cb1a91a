"""Wheels that were built here go with the last image that is made of them."""

import pytest

from stepline.model.image import Image, ImageBuild
from stepline.plugins.images_local.components import component_key
from stepline.plugins.images_local.leftovers import remove_unused_wheels
from stepline.plugins.images_local.store import LayerStore
from tests.support.wheels import make_wheel

IMAGE = Image(id="i", config="{}", layers=(), runtime="3.11", python="/p", site="/s")
LOCKS = {"kept": "plates==1.0\n", "gone": "plates==2.0\n"}


@pytest.fixture
def store(tmp_path):
    """A store with wheels of two components and of three locks, one of them in no note."""
    store = LayerStore(tmp_path / "images")
    for key in (*LOCKS, "unknown"):
        make_wheel(store.folder / "wheels" / key, "plates")
    for key, lock in LOCKS.items():
        store.put_note("locks", key, note={"lock": lock, "wheels": []})
    for source in ("sha256:1", "sha256:2"):
        make_wheel(store.folder / "components" / component_key(source, "3.11"), "wells")
    return store


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_wheels_that_no_record_names_are_removed(store):
    parts = {"wells": "1.0 sha256:1", "tree": "2.1.0-1"}
    build = ImageBuild(
        image=IMAGE, script="s", name="n", base="b", base_source="", lock=LOCKS["kept"], parts=parts
    )
    size = sum(path.stat().st_size for path in store.folder.rglob("*.whl"))
    freed = remove_unused_wheels(store, [build])
    assert names(store.folder / "wheels") == ["kept"]
    assert names(store.folder / "components") == [component_key("sha256:1", "3.11")]
    assert freed == size - sum(path.stat().st_size for path in store.folder.rglob("*.whl")) > 0
    assert [store.note("locks", key) is None for key in LOCKS] == [False, True]


def test_wheels_of_no_image_at_all_are_removed(store):
    remove_unused_wheels(store, [])
    assert names(store.folder / "wheels") == names(store.folder / "components") == []

"""The folder of layers: nothing half, nothing lost, and many users at once."""

import errno
import os
import threading

import pytest

from stepline.errors import PlatformError
from stepline.model.image import LayerKind
from stepline.plugins.images_local.store import LayerStore


@pytest.fixture
def store(tmp_path):
    """A store without anything in it."""
    return LayerStore(tmp_path / "images")


def add(store, content=b"layer"):
    with store.temporary() as folder:
        (folder / "tar").write_bytes(content)
        return store.add(folder / "tar", LayerKind.CODE)


def test_layer_that_is_added_is_found_by_its_digest(store):
    layer = add(store)
    assert store.path(layer).read_bytes() == b"layer"
    assert layer.size == 5


def test_file_that_is_kept_is_on_the_disk_before_it_has_its_name(store, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, _=real, n=name: (done.append(n), _(*a))[1])
    with store.temporary() as folder:
        (folder / "wheel").write_bytes(b"wheel")
        kept = store.keep(folder / "wheel", store.folder / "wheels" / "key" / "a.whl")
    assert kept.read_bytes() == b"wheel"
    assert done == ["fsync", "replace", "fsync"]


def test_layer_added_twice_is_kept_once(store):
    assert add(store) == add(store)
    assert len(list((store.folder / "layers").iterdir())) == 1


def test_layer_may_be_added_by_many_at_once(store):
    found = []
    threads = [threading.Thread(target=lambda: found.append(add(store))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 8
    assert len(set(found)) == 1


def test_layer_that_is_cut_short_is_not_used(store):
    layer = add(store)
    os.truncate(store.path(layer), 2)
    assert not store.has(layer)
    with pytest.raises(PlatformError, match="is not in") as caught:
        store.path(layer)
    assert "build the image again" in caught.value.hint
    assert add(store) == layer
    assert store.path(layer).read_bytes() == b"layer"


def test_unreferenced_layers_are_removed_and_counted(store):
    kept, gone = add(store, b"kept"), add(store, b"gone away")
    assert store.remove_layers(without={kept.digest}) == 9
    assert store.has(kept)
    assert not store.has(gone)


def test_work_of_a_killed_process_is_removed(store):
    with store.temporary() as folder:
        left = folder.parent / "left"
        left.mkdir()
        (left / "half").write_text("half")
        with store.temporary():
            assert folder.is_dir()
            assert not left.exists()


def test_full_disk_says_what_to_do_and_leaves_nothing(store):
    def fill():
        with store.temporary() as folder:
            (folder / "half").write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(PlatformError, match="is full") as caught:
        fill()
    assert "make room" in caught.value.hint
    assert caught.value.retryable
    assert not list((store.folder / "temporary").iterdir())


def test_folder_that_cannot_be_made_names_the_setting(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PlatformError, match="cannot be used") as caught:
        add(LayerStore(tmp_path / "file" / "images"))
    assert "images_dir" in caught.value.hint


def test_note_is_found_until_it_is_removed(store):
    store.put_note("kind", "sha256:a", note={"x": ["ü"]})
    assert store.note("kind", "sha256:a") == {"x": ["ü"]}
    assert list(store.notes("kind")) == [{"x": ["ü"]}]
    store.remove_note("kind", "sha256:a")
    assert store.note("kind", "sha256:a") is None


def test_damaged_note_counts_as_none(store):
    store.put_note("kind", "a", note={})
    (store.folder / "notes" / "kind" / "a.json").write_text('{"x": ')
    assert store.note("kind", "a") is None


def test_noted_layer_that_is_gone_counts_as_none(store):
    layer = add(store)
    store.put_note("kind", "a", note=layer.to_plain())
    assert store.noted_layer("kind", "a") == layer
    store.remove_layers(without=())
    assert store.noted_layer("kind", "a") is None


def test_removing_waits_for_who_builds(store):
    removed = threading.Event()

    def remove():
        with store.removing():
            removed.set()

    with store.building():
        thread = threading.Thread(target=remove)
        thread.start()
        assert not removed.wait(0.2)
    assert removed.wait(10)
    thread.join(10)

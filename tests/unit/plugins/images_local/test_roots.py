"""Roots of images: made once, shared, whole or not there."""

import fcntl
import multiprocessing
import os
import signal
import threading
import time

import pytest

from stepline.errors import PlatformError
from stepline.model.image import Image, Layer, LayerKind
from stepline.plugins.images_local.roots import ImageRoots
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.tars import write_folder
from stepline.workers import inside


@pytest.fixture
def store(tmp_path):
    """A store without layers."""
    return LayerStore(tmp_path / "images")


@pytest.fixture
def roots(store):
    """Its roots."""
    return ImageRoots(store)


def add_layer(store, files, *, prefix=""):
    """Return a layer of files, by their path and content."""
    with store.temporary() as folder:
        source = folder / "source"
        source.mkdir()
        for name, content in files.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        with (folder / "layer.tar").open("wb") as tar:
            write_folder(source, tar, prefix=prefix)
        return store.add(folder / "layer.tar", LayerKind.BASE)


def image_of(*layers):
    return Image(
        id="sha256:1", config="{}", layers=layers, runtime="3.11", python="/python", site="/site"
    )


def files_of(root):
    """Return the paths of all files of a root, but those that every root has."""
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return sorted(found - set(inside.FILES))


def test_roots_of_images_with_a_layer_in_common_share_its_files(store, roots):
    base = add_layer(store, {"etc/name": "base", "etc/other": "base"})
    first = roots.get(image_of(base, add_layer(store, {"script/main.py": "1"})))
    second = roots.get(image_of(base, add_layer(store, {"etc/name": "mine"})))
    assert files_of(first) == ["etc/name", "etc/other", "script/main.py"]
    assert (first / "etc/other").samefile(second / "etc/other")
    assert ((first / "etc/name").read_text(), (second / "etc/name").read_text()) == ("base", "mine")


def test_root_is_made_once_and_has_what_is_mounted_on(store, roots):
    image = image_of(add_layer(store, {"etc/name": "base"}))
    root = roots.get(image)
    before = os.stat(root)
    assert roots.get(image) == root
    assert os.stat(root).st_ctime_ns == before.st_ctime_ns
    assert all((root / name).is_dir() for name in inside.FOLDERS)
    assert "localhost" in (root / "etc/hosts").read_text()


def test_root_place_that_is_a_link_is_no_way_out(store, roots, tmp_path):
    with store.temporary() as folder:
        (folder / "source").mkdir()
        (folder / "source" / "run").symlink_to(tmp_path)
        with (folder / "layer.tar").open("wb") as tar:
            write_folder(folder / "source", tar, prefix="")
        layer = store.add(folder / "layer.tar", LayerKind.BASE)
    root = roots.get(image_of(layer))
    assert not (root / "run").is_symlink()
    assert not (tmp_path / "stepline-task").exists()


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("/srv/./programs/", ["tool"]),
        ("srv/other", ["tool"]),
        ("../../srv/programs", ["tool"]),
        ("/srv/gone", []),
        ("/", []),
        (".", []),
        ("opt", []),
        ("/srv/file", []),
    ],
    ids=["absolute", "over another", "above the root", "gone", "root", "own", "itself", "file"],
)
def test_root_place_that_is_a_link_has_what_that_led_to(store, roots, target, found):
    with store.temporary() as folder:
        programs = folder / "source" / "srv" / "programs"
        programs.mkdir(parents=True)
        (programs / "tool").write_text("tool")
        (folder / "source" / "srv" / "file").write_text("file")
        (folder / "source" / "srv" / "other").symlink_to("/srv/programs")
        (folder / "source" / "opt").symlink_to(target)
        with (folder / "layer.tar").open("wb") as tar:
            write_folder(folder / "source", tar, prefix="")
        layer = store.add(folder / "layer.tar", LayerKind.BASE)
    root = roots.get(image_of(layer))
    assert not (root / "opt").is_symlink()
    assert sorted(os.listdir(root / "opt")) == sorted([*found, "stepline"])
    assert os.listdir(root / "srv" / "programs") == ["tool"]


def test_root_asked_for_by_many_at_once_is_one(store, roots):
    image = image_of(add_layer(store, {f"f{number}": "x" for number in range(300)}))
    found = []
    threads = [threading.Thread(target=lambda: found.append(roots.get(image))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert os.listdir(store.folder / "temporary") == []


def test_root_whose_making_was_killed_is_made_whole(store, roots):
    names = [f"f{number}" for number in range(400)]
    below = add_layer(store, dict.fromkeys(names, "x"))
    killed = 0
    for number in range(8):
        image = image_of(below, add_layer(store, {"g": str(number)}))
        making = multiprocessing.get_context("fork").Process(target=roots.get, args=(image,))
        making.start()
        time.sleep(0.004 * number)
        os.kill(making.pid, signal.SIGKILL)
        making.join()
        killed += making.exitcode == -signal.SIGKILL
        assert files_of(roots.get(image)) == sorted([*names, "g"])
    assert killed
    assert os.listdir(store.folder / "temporary") == []


def test_root_without_its_layer_says_what_to_do(roots):
    layer = Layer("sha256:" + "0" * 64, 5, LayerKind.CODE)
    with pytest.raises(PlatformError) as raised:
        roots.get(image_of(layer))
    assert "is not in" in raised.value.what
    assert "stepline image build" in raised.value.hint


def test_roots_that_no_image_is_of_are_removed_but_not_one_in_use(store, roots):
    base = add_layer(store, {"etc/name": "base"})
    kept, used, gone = (
        image_of(base, add_layer(store, {"main.py": text * 1000})) for text in ("k", "u", "g")
    )
    folders = [roots.get(image) for image in (kept, used, gone)]
    held = os.open(folders[1], os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    assert roots.remove_unused([kept]) == 1000
    os.close(held)
    assert [folder.exists() for folder in folders] == [True, True, False]
    assert roots.remove_unused([kept]) == 1000
    assert len(os.listdir(store.folder / "roots")) == 2
    assert (roots.get(kept) / "etc/name").read_text() == "base"

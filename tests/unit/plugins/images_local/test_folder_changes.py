import os

import pytest

from stepline.errors import ConfigError
from stepline.model.image import LayerKind
from stepline.plugins.images_local.folder_changes import (
    FolderChanges,
    WatchedFolder,
    refuse_special,
)
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.tars import Entry, write_entries


@pytest.fixture
def source(tmp_path):
    """A task script's folder, one file of which may be run."""
    folder = tmp_path / "source"
    folder.joinpath("lib").mkdir(parents=True)
    for name in ("main.py", "tool.sh", "data.txt", "lib/part.txt"):
        folder.joinpath(name).write_text(name)
    folder.joinpath("tool.sh").chmod(0o755)
    return folder


@pytest.fixture
def watched(source, tmp_path):
    return WatchedFolder(source, tmp_path / "copy")


def test_watched_folder_no_file_may_be_run(watched):
    assert not os.access(watched.path / "tool.sh", os.X_OK)


def test_difference_right_to_run_is_told(watched):
    watched.path.joinpath("tool.sh").chmod(0o755)
    assert watched.difference().executable == ("tool.sh",)


def test_difference_untouched_folder_depends_on_nothing(watched):
    found = watched.difference()
    assert (found.changed, found.removed, found.executable, dict(found.inputs)) == ((), (), (), {})


def test_difference_new_changed_and_removed_are_told(watched):
    watched.path.joinpath("data.txt").write_text("changed")
    watched.path.joinpath("new").mkdir()
    watched.path.joinpath("link").symlink_to("main.py")
    watched.path.joinpath("lib/part.txt").rename(watched.path / "moved.txt")
    found = watched.difference()
    assert found.changed == ("data.txt", "lib", "link", "moved.txt", "new")
    assert found.removed == ("lib/part.txt",)


def test_difference_where_the_disk_tells_of_no_reading_depends_on_every_file(
    source, tmp_path, monkeypatch
):
    path = "stepline.plugins.images_local.folder_changes._tells_of_reading"
    monkeypatch.setattr(path, lambda folder: False)
    found = WatchedFolder(source, tmp_path / "copy").difference()
    assert set(found.inputs) == {"main.py", "tool.sh", "data.txt", "lib/part.txt"}


def test_difference_depends_on_what_was_read_changed_and_removed(watched):
    watched.path.joinpath("tool.sh").read_text()
    watched.path.joinpath("data.txt").write_text("changed")
    watched.path.joinpath("lib/part.txt").unlink()
    assert set(watched.difference().inputs) == {"tool.sh", "data.txt", "lib/part.txt"}


def test_apply_repeats_the_changes_in_another_copy(watched, source, tmp_path):
    watched.path.joinpath("data.txt").unlink()
    watched.path.joinpath("tool.sh").chmod(0o755)
    watched.path.joinpath("lib/new.sh").write_text("new")
    watched.path.joinpath("lib/new.sh").chmod(0o755)
    found = watched.difference()
    store = LayerStore(tmp_path / "store")
    with store.temporary() as work:
        with work.joinpath("tar").open("wb") as file:
            write_entries((Entry(path, watched.path / path) for path in found.changed), file)
        files = store.add(work / "tar", LayerKind.CODE)
    changes = FolderChanges(files=files, removed=found.removed, executable=found.executable)
    source.joinpath("main.py").write_text("later")
    later = WatchedFolder(source, tmp_path / "later").path
    FolderChanges.from_plain(changes.to_plain()).apply(later, store.path(files))
    assert sorted(path.name for path in later.rglob("*") if os.access(path, os.X_OK)) == [
        "lib",
        "new.sh",
        "tool.sh",
    ]
    assert not later.joinpath("data.txt").exists()
    assert later.joinpath("main.py").read_text() == "later"


def test_refuse_special_pipe_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="left pipe, which is neither") as caught:
        refuse_special(tmp_path)
    assert str(caught.value.where) == "init/before_install"
    assert "have the hook remove it" in caught.value.hint

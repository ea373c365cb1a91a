"""Scratch folders of attempts."""

import os

import pytest

from stepline.workers.scratch import ScratchFolders


@pytest.fixture
def folders(tmp_path):
    """Scratch folders in a folder that is not there yet."""
    return ScratchFolders(str(tmp_path / "scratch"), {})


def test_folder_is_never_one_that_another_platform_lent(tmp_path):
    before, now = (ScratchFolders(str(tmp_path), {}).take() for _ in range(2))
    assert before != now


def test_empty_folder_is_lent_again(folders):
    first = folders.take()
    folders.give_back(first)
    assert folders.take() == first


@pytest.mark.parametrize(
    "change",
    [
        lambda path: open(os.path.join(path, "left"), "w").close(),
        lambda path: os.chmod(path, 0o777),
    ],
    ids=["file", "mode"],
)
def test_folder_that_was_changed_is_removed(folders, change):
    first = folders.take()
    change(first)
    folders.give_back(first)
    second = folders.take()
    assert (os.path.lexists(first), os.listdir(second)) == (False, [])
    assert first != second


def test_link_in_place_of_a_folder_is_removed_and_not_what_it_leads_to(folders, tmp_path):
    kept = tmp_path / "elsewhere" / "kept"
    kept.mkdir(parents=True)
    path = folders.take()
    os.rmdir(path)
    os.symlink(kept.parent, path)
    folders.give_back(path)
    assert kept.is_dir()
    assert not os.path.lexists(path)


def test_close_leaves_nothing_of_a_temporary_root(tmp_path):
    folders = ScratchFolders("", {"TMPDIR": str(tmp_path)})
    path = folders.take()
    folders.give_back(path)
    folders.take()
    folders.close()
    assert os.path.dirname(os.path.dirname(path)) == str(tmp_path)
    assert os.listdir(tmp_path) == []

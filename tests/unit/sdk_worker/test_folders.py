"""Folders that tasks have one after another."""

import os

from stepline_sdk.worker.folders import SharedFolders


def test_shared_folders_are_emptied_but_for_what_stays(tmp_path):
    (tmp_path / "own").mkdir()
    shared = SharedFolders([str(tmp_path), "/not/there"], kept=[str(tmp_path / "own")])
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "own")
    (tmp_path / "own" / "file").touch()
    assert shared.empty()
    assert os.listdir(tmp_path) == ["own"]
    assert (tmp_path / "own" / "file").exists()


def test_shared_folders_mode_that_a_task_changed_is_set_back(tmp_path):
    shared = SharedFolders([str(tmp_path)])
    before = os.stat(tmp_path).st_mode
    tmp_path.chmod(0o777)
    assert shared.empty()
    assert os.stat(tmp_path).st_mode == before


def test_shared_folders_that_are_gone_are_not_as_before(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    shared = SharedFolders([str(folder)])
    folder.rmdir()
    assert not shared.empty()


def test_shared_folders_that_nobody_named_are_none():
    assert SharedFolders([]).empty()

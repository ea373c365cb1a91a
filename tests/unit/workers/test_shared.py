"""What a platform shares with a container or a sandbox."""

import os

import pytest

from stepline.workers import scratch
from stepline.workers.shared import SharedFolder


@pytest.fixture
def shared(tmp_path):
    """A shared folder of a platform whose tasks are its own user."""
    made = SharedFolder(str(tmp_path / "shared"), for_user=False)
    yield made
    made.remove()
    assert os.listdir(tmp_path) in ([], ["elsewhere"])


def named(shared, name):
    return os.path.join(shared.mounted, name)


def test_shared_folder_has_scratch_and_work_in_one_that_is_not_to_be_written_to(shared):
    assert sorted(os.listdir(shared.mounted)) == ["scratch", "work"]
    modes = [os.stat(path).st_mode & 0o777 for path in (shared.path, shared.mounted)]
    assert modes == [0o700, 0o555]
    assert os.path.samefile(shared.scratch, named(shared, "scratch"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_shared_folder_for_the_user_of_images_is_theirs(tmp_path):
    shared = SharedFolder(str(tmp_path / "shared"), for_user=True)
    owners = [os.stat(named(shared, name)).st_uid for name in ("scratch", "work", ".")]
    assert owners == [10001, 10001, 0]
    shared.remove()


def test_shared_folder_tidy_removes_what_a_task_left(shared):
    os.makedirs(f"{shared.scratch}/a/b")
    open(f"{shared.scratch}/a/b/file", "w").close()
    assert shared.tidy()
    assert os.listdir(shared.scratch) == []


def test_shared_folder_that_cannot_be_emptied_is_not_as_good_as_new(shared, monkeypatch):
    os.mkdir(f"{shared.scratch}/a")
    monkeypatch.setattr(scratch, "empty_folder", lambda folder: None)
    assert not shared.tidy()


def test_shared_folder_no_depth_is_too_much(shared):
    folder = os.open(shared.scratch, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    assert shared.tidy()
    assert os.listdir(shared.scratch) == []


def test_shared_folder_link_in_place_of_scratch_is_not_followed(shared, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    os.chmod(shared.mounted, 0o755)  # as tasks can that are the platform's own user
    os.rename(named(shared, "scratch"), named(shared, "moved"))
    os.symlink(elsewhere, named(shared, "scratch"))
    open(f"{shared.scratch}/file", "x").close()
    assert os.listdir(named(shared, "moved")) == ["file"]
    assert not shared.tidy()
    shared.remove()
    assert os.listdir(elsewhere) == ["kept"]

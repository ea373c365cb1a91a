"""Where workers have their folders."""

import os
import subprocess
import sys
import time

import pytest

from stepline.errors import PlatformError
from stepline.workers.roots import PlatformRoot, make_root, remove_forsaken, root_name

# More than any process can have.
DEAD = 9_999_999


def test_root_name_is_in_tmpdir_and_never_twice_the_same(tmp_path):
    first, second = (root_name({"TMPDIR": str(tmp_path)}) for _ in range(2))
    assert os.path.dirname(first) == os.path.dirname(second) == str(tmp_path)
    assert first != second


@pytest.mark.parametrize("temporary", [None, "", ".", "/no/such/folder", "/dev/null"])
def test_root_name_is_in_tmp_where_tmpdir_is_no_full_path_of_a_folder(temporary):
    environ = {} if temporary is None else {"TMPDIR": temporary}
    assert os.path.dirname(root_name(environ)) == "/tmp"


def test_make_root_is_for_its_owner_alone(tmp_path):
    make_root(str(tmp_path / "root"))
    assert os.stat(tmp_path / "root").st_mode & 0o777 == 0o700


def test_make_root_that_cannot_be_made_says_what_to_do(tmp_path):
    root = tmp_path / "missing" / "root"
    with pytest.raises(PlatformError) as raised:
        make_root(str(root))
    expected = f"the folder {root} for tasks cannot be made: No such file or directory"
    assert raised.value.what == expected
    assert "TMPDIR" in raised.value.hint


@pytest.fixture
def folder(tmp_path):
    """Make an old folder beside those of workers."""

    def folder(name, *, age_s=10.0):
        path = tmp_path / name
        path.mkdir()
        os.utime(path, (0, time.time() - age_s))
        return path

    return folder


def test_forsaken_folder_of_a_dead_platform_is_removed(folder, tmp_path):
    forsaken = folder(f"stepline-{DEAD}-0123abcd-1")
    remove_forsaken(root_name({"TMPDIR": str(tmp_path)}))
    assert not forsaken.exists()


@pytest.mark.parametrize(
    ("name", "age_s"),
    [
        pytest.param(f"stepline-{os.getpid()}-0123abcd-1", 10.0, id="of a living platform"),
        pytest.param(f"stepline-{DEAD}-0123abcd-1", 0.0, id="made just now"),
        pytest.param("stepline-selftest-1", 10.0, id="of something else"),
    ],
)
def test_folder_that_is_not_forsaken_stays(folder, tmp_path, name, age_s):
    kept = folder(name, age_s=age_s)
    remove_forsaken(root_name({"TMPDIR": str(tmp_path)}))
    assert kept.exists()


def test_forsaken_folder_with_something_in_it_stays(folder, tmp_path):
    kept = folder(f"stepline-{DEAD}-0123abcd-1")
    (kept / "worker.log").write_text("why")
    os.utime(kept, (0, 0))
    remove_forsaken(root_name({"TMPDIR": str(tmp_path)}))
    assert (kept / "worker.log").exists()


@pytest.mark.parametrize("kind", ["scratch", "docker", "sandbox"])
def test_forsaken_folders_of_a_platform_go_with_all_in_them(folder, tmp_path, kind):
    forsaken = folder(f"stepline-{kind}-{DEAD}-0123abcd")
    (forsaken / "1" / "work").mkdir(parents=True)
    (forsaken / "1" / "work" / "file").touch()
    os.utime(forsaken, (0, 0))
    remove_forsaken(root_name({"TMPDIR": str(tmp_path)}))
    assert not forsaken.exists()


@pytest.mark.parametrize("kind", ["scratch", "other"])
def test_folders_of_a_platform_that_cannot_be_seen_stay(folder, tmp_path, kind):
    kept = folder(f"stepline-{kind}-{DEAD}-0123abcd", age_s=0.0 if kind == "scratch" else 10.0)
    remove_forsaken(root_name({"TMPDIR": str(tmp_path)}))
    assert kept.exists()


def test_link_with_the_name_of_forsaken_folders_is_left_alone(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    link = tmp_path / f"stepline-scratch-{DEAD}-0123abcd"
    link.symlink_to(kept)
    os.utime(link, (0, 0), follow_symlinks=False)
    remove_forsaken(root_name({"TMPDIR": str(tmp_path)}))
    assert link.is_symlink()
    assert kept.is_dir()


def test_platform_root_that_is_held_stays_whatever_its_name_says(tmp_path, monkeypatch):
    environ = {"TMPDIR": str(tmp_path)}
    root = PlatformRoot("", "scratch", environ=environ)
    with monkeypatch.context() as elsewhere:  # such a process is in another namespace
        elsewhere.setattr(os, "getpid", lambda: DEAD)
        path = root.new_path()
    os.makedirs(path)
    os.utime(os.path.dirname(path), (0, 0))
    remove_forsaken(root_name(environ))
    assert os.path.isdir(path)
    root.close()
    assert os.listdir(tmp_path) == []


PLATFORM = """
import os, sys
from stepline.workers.scratch import ScratchFolders
ScratchFolders("", os.environ).take()
os.kill(os.getpid(), 9)
"""


def test_forsaken_folder_of_a_platform_that_was_killed_is_removed(tmp_path):
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", PLATFORM], env=environ, check=False, timeout=30)
    (left,) = tmp_path.iterdir()
    os.utime(left, (0, 0))
    remove_forsaken(root_name(environ))
    assert not left.exists()

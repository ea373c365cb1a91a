"""Folders of tasks, in the file system and under ordinary rights."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import stepline_sdk
from stepline_sdk.worker.folders import TaskFolders, remove_tree

SOURCES = str(Path(stepline_sdk.__file__).parents[1])
NOBODY = 65534


@pytest.fixture
def folders(tmp_path):
    """Fresh folders of a task whose code is in ``code``."""
    (tmp_path / "code").mkdir()
    return TaskFolders(str(tmp_path), 1, str(tmp_path / "code"))


def test_folders_are_for_their_owner_only_and_lead_to_the_code(folders, tmp_path):
    assert os.listdir(folders.work) == ["func"]
    assert os.readlink(os.path.join(folders.work, "func")) == str(tmp_path / "code")
    assert os.listdir(folders.tmp) == []
    assert {os.stat(path).st_mode & 0o777 for path in (folders.work, folders.tmp)} == {0o700}


def test_folders_nobody_touched_are_kept_as_they_are(folders):
    before = [os.stat(path).st_ino for path in (folders.work, folders.tmp)]
    folders.renew()
    assert [os.stat(path).st_ino for path in (folders.work, folders.tmp)] == before


def write(path):
    with open(path, "w") as file:
        file.write("left")


CHANGES = {
    "file": lambda folders: write(folders.work + "/file"),
    "hidden file": lambda folders: write(folders.tmp + "/.cache"),
    "folder": lambda folders: os.makedirs(folders.tmp + "/a/b"),
    "mode": lambda folders: os.chmod(folders.work, 0o755),
    "owner": lambda folders: os.chown(folders.tmp, NOBODY, NOBODY),
    "attribute": lambda folders: os.setxattr(folders.tmp, "user.note", b"left"),
    "link gone": lambda folders: os.unlink(folders.work + "/func"),
    "link elsewhere": lambda folders: (
        os.unlink(folders.work + "/func"),
        os.symlink("/", folders.work + "/func"),
    ),
    "folder in place of the link": lambda folders: (
        os.unlink(folders.work + "/func"),
        os.mkdir(folders.work + "/func"),
    ),
    "folder gone": lambda folders: os.rmdir(folders.tmp),
    "another folder": lambda folders: (
        os.rename(folders.tmp, folders.tmp + "-old"),
        os.mkdir(folders.tmp, 0o700),
    ),
    "link in place of the folder": lambda folders: (
        os.rmdir(folders.tmp),
        os.symlink("/", folders.tmp),
    ),
    "file in place of the folder": lambda folders: (os.rmdir(folders.tmp), write(folders.tmp)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_folders_that_a_task_changed_are_made_again(folders, tmp_path, change):
    try:
        change(folders)
    except PermissionError as error:
        pytest.skip(f"not allowed here: {error}")
    folders.renew()
    fresh = TaskFolders(str(tmp_path), 2, str(tmp_path / "code"))
    for made, expected in ((folders.work, fresh.work), (folders.tmp, fresh.tmp)):
        found, wanted = os.lstat(made), os.lstat(expected)
        assert (found.st_mode, found.st_uid) == (wanted.st_mode, wanted.st_uid)
        assert os.listdir(made) == os.listdir(expected)
        assert os.listxattr(made) == os.listxattr(expected)
    assert os.path.samefile(folders.work + "/func", tmp_path / "code")


@pytest.mark.parametrize(
    ("number", "kept"), [(errno.ENOTSUP, True), (errno.EPERM, False)], ids=["none", "refused"]
)
def test_folders_whose_attributes_cannot_be_read_are_emptied(tmp_path, monkeypatch, number, kept):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "listxattr", refuse)
    folders = TaskFolders(str(tmp_path), 1, str(tmp_path))
    before = os.stat(folders.work).st_ino, os.stat(folders.work).st_mtime_ns
    folders.renew()
    now = os.stat(folders.work).st_ino, os.stat(folders.work).st_mtime_ns
    assert (now == before) is kept
    write(folders.tmp + "/left-by-a-task")
    folders.renew()
    assert os.listdir(folders.tmp) == []


def test_remove_tree_removes_what_modes_forbid(tmp_path):
    code = (
        "import os\n"
        "from stepline_sdk.worker.folders import remove_tree\n"
        "os.makedirs('top/a/b')\n"
        "open('top/a/b/file', 'w').close()\n"
        "os.chmod('top/a/b', 0)\n"
        "os.chmod('top/a', 0o500)\n"
        "os.chmod('top', 0)\n"
        "remove_tree('top')\n"
        "print(os.listdir('.'))\n"
    )
    folder = tmp_path / "home"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    done = run_as_ordinary_user(code, folder)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def run_as_ordinary_user(code, folder):
    """Run Python code in a folder, not as root."""
    if os.geteuid() == 0:
        for parent in folder.parents:
            if not os.stat(parent).st_mode & 0o001:
                os.chmod(parent, os.stat(parent).st_mode | 0o011)
            if parent.name.startswith("pytest-of"):
                break
        code = (
            "import os\n"
            "try:\n"
            f"    os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})\n"
            "except PermissionError:\n"
            "    pass  # a root without capabilities is as bound by modes as anybody\n" + code
        )
    code = (
        f"import sys\nsys.path.insert(0, {SOURCES!r})\nimport stepline_sdk.worker.folders\n{code}"
    )
    # Coverage's data are not that user's to write.
    environ = {name: v for name, v in os.environ.items() if not name.startswith("COV")}
    return subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_remove_tree_follows_no_link(tmp_path):
    (tmp_path / "precious").mkdir()
    write(tmp_path / "precious" / "file")
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "top-link").symlink_to(tmp_path / "precious")
    remove_tree(str(tmp_path / "top"))
    remove_tree(str(tmp_path / "top-link"))
    assert [path.name for path in tmp_path.rglob("*")] == ["precious", "file"]


def test_remove_tree_of_what_is_not_there_does_nothing(tmp_path):
    remove_tree(str(tmp_path / "nothing"))
    assert list(tmp_path.iterdir()) == []


def test_remove_tree_takes_any_depth_and_odd_names(tmp_path):
    folder = tmp_path / "top"
    folder.mkdir()
    (folder / ".gone-1").mkdir()
    (folder / ".gone-1" / "inner").mkdir()
    os.mkfifo(folder / "pipe")
    deepest = os.open(folder, os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("d", dir_fd=deepest)
        inner = os.open("d", os.O_RDONLY, dir_fd=deepest)
        os.close(deepest)
        deepest = inner
    os.close(deepest)
    remove_tree(str(folder))
    assert not folder.exists()

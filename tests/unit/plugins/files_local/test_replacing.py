"""A new folder in the place of an old one: nothing is lost, whatever happens between."""

import errno
import json
import os
import subprocess
import sys

import pytest

from stepline.errors import PlatformError
from stepline.plugins.files_local import replacing
from stepline.plugins.files_local.results import results_folder

WRITE = """
import json, sys
from stepline.plugins.files_local.results import results_folder
out, name, times = sys.argv[1:]
for _ in range(int(times)):
    with results_folder(out) as folder:
        for number in range(5):
            open(f"{folder}/{name}{number}", "w").close()
        entries = [{"path": f"{name}{number}"} for number in range(5)]
        with open(f"{folder}/files.json", "w") as file:
            json.dump(entries, file)
"""


@pytest.fixture
def out(tmp_path):
    """A folder with results."""
    made = tmp_path / "home" / "out"
    made.mkdir(parents=True)
    result(made, "old")
    return made


def result(folder, name):
    """Write the files of a run: one, and its description."""
    for path, text in ((name, name), ("files.json", json.dumps([{"path": name}]))):
        with open(os.path.join(folder, path), "w") as file:
            file.write(text)


def replace(out, name="new"):
    with results_folder(str(out)) as folder:
        result(folder, name)


def after(monkeypatch, count, error):
    """Have the renames go on as ever, and raise after this many of them."""
    real, calls = os.rename, iter(range(1, 1000))

    def rename(source, target):
        real(source, target)
        if next(calls) == count:
            raise error

    monkeypatch.setattr(replacing.os, "rename", rename)


def refused(monkeypatch, number):
    """Refuse to rename folders beside each other, as on a mount point."""
    real = os.rename

    def rename(source, target):
        if os.path.dirname(source) == os.path.dirname(target):
            raise OSError(number, os.strerror(number), source)
        real(source, target)

    monkeypatch.setattr(replacing.os, "rename", rename)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "broken")], ids=repr)
def test_replace_interrupted_between_the_renames_brings_the_old_back(out, monkeypatch, error):
    after(monkeypatch, 1, error)
    with pytest.raises((KeyboardInterrupt, PlatformError)):
        replace(out)
    assert sorted(os.listdir(out)) == ["files.json", "old"]
    assert os.listdir(out.parent) == ["out"]


def test_replace_interrupted_after_the_renames_leaves_the_new_only(out, monkeypatch):
    after(monkeypatch, 2, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        replace(out)
    assert sorted(os.listdir(out)) == ["files.json", "new"]
    assert os.listdir(out.parent) == ["out"]


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV, errno.EPERM], ids=errno.errorcode.get)
def test_replace_of_a_folder_that_cannot_be_renamed_fills_it(out, monkeypatch, number):
    refused(monkeypatch, number)
    same = os.stat(out).st_ino
    replace(out)
    assert sorted(os.listdir(out)) == ["files.json", "new"]
    assert (os.stat(out).st_ino, os.listdir(out.parent)) == (same, ["out"])


@pytest.mark.parametrize("count", range(1, 5))
def test_fill_interrupted_anywhere_brings_the_old_back(out, tmp_path, monkeypatch, count):
    inner = out / ".stepline.partial"
    inner.mkdir()
    result(inner, "new")
    after(monkeypatch, count, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        replacing.fill(str(inner), str(out))
    kept = {name for name in os.listdir(out) if not name.startswith(".stepline")}
    assert kept == {"files.json", "old"}
    assert (out / "files.json").read_text() == '[{"path": "old"}]'


def test_fill_leaves_what_belongs_to_the_disk(out):
    (out / "lost+found").mkdir()
    inner = out / ".stepline.partial"
    inner.mkdir()
    result(inner, "new")
    replacing.fill(str(inner), str(out))
    assert sorted(os.listdir(out)) == ["files.json", "lost+found", "new"]


def test_results_that_cannot_be_written_say_what_to_do(out):
    def write():
        with results_folder(str(out)) as folder:
            raise OSError(errno.ENOSPC, "No space left on device", f"{folder}/new")

    with pytest.raises(PlatformError, match=r"cannot be written.*No space") as caught:
        write()
    assert "make room" in caught.value.hint
    assert sorted(os.listdir(out)) == ["files.json", "old"]


def test_two_runs_into_one_folder_leave_the_results_of_one(out):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(out), name, "40"], stderr=-1)
        for name in ("a", "b")
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert (writer.returncode, errors) == (0, b"")
    names = sorted(os.listdir(out))
    listed = [entry["path"] for entry in json.loads((out / "files.json").read_text())]
    assert names == sorted([*listed, "files.json"])
    assert os.listdir(out.parent) == ["out"]

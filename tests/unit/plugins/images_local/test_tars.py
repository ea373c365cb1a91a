"""Tars of folders: the same files give the same bytes."""

import io
import os
import tarfile

import pytest

from stepline.errors import ConfigError
from stepline.plugins.images_local.tars import MTIME, Entry, write_entries, write_folder


@pytest.fixture
def folder(tmp_path):
    """A folder with a file, a program, a link and a folder."""
    made = tmp_path / "made"
    (made / "data").mkdir(parents=True)
    (made / "data" / "b.txt").write_text("b")
    (made / "a.sh").write_text("echo a\n")
    (made / "a.sh").chmod(0o755)
    (made / "link").symlink_to("data/b.txt")
    return made


def packed(folder, **kwargs):
    target = io.BytesIO()
    write_folder(folder, target, prefix="/opt/script", **kwargs)
    return target.getvalue()


def members(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: member for member in tar}


def test_tar_holds_everything_sorted_below_its_prefix(folder):
    names = list(members(packed(folder)))
    below = ["a.sh", "data", "data/b.txt", "link"]
    assert names == ["opt", "opt/script", *(f"opt/script/{name}" for name in below)]


def test_tar_of_the_same_files_is_the_same_at_another_time_and_place(folder, tmp_path):
    before = packed(folder)
    moved = folder.rename(tmp_path / "moved")
    for path in (moved / "data", moved / "data" / "b.txt"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    (moved / "data" / "b.txt").chmod(0o600)
    assert packed(moved) == before


def test_tar_tells_of_no_owner_and_no_time(folder):
    for member in members(packed(folder)).values():
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
        assert member.mtime == MTIME


@pytest.mark.parametrize(
    ("executable", "mode"),
    [(None, 0o755), ((), 0o644), (("a.sh",), 0o755)],
    ids=["as on disk", "none", "named"],
)
def test_tar_lets_run_what_it_is_told(folder, executable, mode):
    assert members(packed(folder, executable=executable))["opt/script/a.sh"].mode == mode


def test_tar_keeps_links_as_they_are(folder):
    assert members(packed(folder))["opt/script/link"].linkname == "data/b.txt"


def test_tar_of_a_changed_file_is_another(folder):
    before = packed(folder)
    (folder / "data" / "b.txt").write_text("c")
    assert packed(folder) != before


def test_tar_refuses_a_pipe(folder):
    os.mkfifo(folder / "data" / "pipe")
    with pytest.raises(ConfigError, match="neither a file nor a link") as caught:
        packed(folder)
    assert caught.value.where.path == "opt/script/data/pipe"
    assert "remove it" in caught.value.hint


def test_entries_of_one_name_count_once(folder, tmp_path):
    other = tmp_path / "other"
    other.write_text("other")
    target = io.BytesIO()
    write_entries(iter([Entry("x", folder / "a.sh"), Entry("x", other)]), target)
    with tarfile.open(fileobj=io.BytesIO(target.getvalue())) as tar:
        assert [tar.extractfile(member).read() for member in tar] == [b"other"]


def test_tar_takes_names_that_are_no_text(folder):
    (folder / os.fsdecode(b"\xff.txt")).write_text("x")
    assert packed(folder) == packed(folder)

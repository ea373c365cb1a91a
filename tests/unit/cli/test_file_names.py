"""Names of files, as they are typed."""

import pytest

from stepline.cli.file_names import is_sendable, places_on_disk


def test_places_on_disk_follow_links_and_the_shell(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path / "link")
    monkeypatch.setenv("PWD", str(tmp_path / "link"))
    found = places_on_disk("day/../a.txt")
    assert found == [str(tmp_path / "real" / "a.txt"), str(tmp_path / "link" / "a.txt")]


def test_places_on_disk_without_a_shell_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PWD")
    assert places_on_disk("a.txt") == [str(tmp_path / "a.txt")]


@pytest.mark.parametrize("name", ["", "a\0b", "\udcff", "x" * 5000])
def test_name_that_cannot_be_a_path_is_nowhere(name):
    assert places_on_disk(name) == []


def test_sendable_is_text_of_some_length():
    assert [is_sendable(name) for name in ("a", "Grüße/\x1b", "", "\udcff", "x" * 2049)] == [
        True,
        True,
        False,
        False,
        False,
    ]

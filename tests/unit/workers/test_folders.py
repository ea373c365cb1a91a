"""Folders go away with all that is in them, whatever its modes."""

from __future__ import annotations

from stepline.workers.folders import remove_folder


def test_remove_folder_takes_files_links_and_locked_folders(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    folder = tmp_path / "folder"
    (folder / "locked" / "inner").mkdir(parents=True)
    (folder / "locked" / "inner" / "file").write_text("x")
    (folder / "link").symlink_to(outside)
    (folder / "locked" / "inner").chmod(0)
    (folder / "locked").chmod(0)
    remove_folder(folder)
    assert not folder.exists()
    assert (outside / "kept").read_text() == "x"


def test_remove_folder_that_is_not_there_is_no_error(tmp_path):
    remove_folder(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_remove_folder_of_a_link_leaves_what_it_leads_to(tmp_path):
    kept = tmp_path / "kept" / "file"
    kept.parent.mkdir()
    kept.touch()
    (tmp_path / "link").symlink_to(kept.parent)
    remove_folder(tmp_path / "link")
    assert kept.exists()
    assert not (tmp_path / "link").is_symlink()

"""Folders go away with all that is in them, whatever its modes."""

from __future__ import annotations

import os
import threading

from stepline.workers import folders
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


def test_remove_folder_no_depth_is_too_much(tmp_path):
    (tmp_path / "deep").mkdir()
    folder = os.open(tmp_path / "deep", os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("0123456789", dir_fd=folder)
        below = os.open("0123456789", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    remove_folder(tmp_path / "deep")
    assert not (tmp_path / "deep").exists()


def test_remove_folder_link_in_place_of_a_folder_is_not_followed(tmp_path, monkeypatch):
    kept, inner = tmp_path / "kept", tmp_path / "folder" / "inner"
    inner.mkdir(parents=True)
    kept.mkdir()
    (kept / "file").touch()
    real = folders._opened

    def exchange(path, *, within=None):
        if within is not None and not inner.is_symlink():
            inner.rmdir()
            inner.symlink_to(kept)
        return real(path, within=within)

    monkeypatch.setattr(folders, "_opened", exchange)
    remove_folder(tmp_path / "folder")
    assert (kept / "file").exists()


def test_remove_folder_by_two_at_once_is_no_error(tmp_path):
    for number in range(200):
        (tmp_path / "folder" / f"{number % 10}" / f"{number}").mkdir(parents=True)
    threads = [threading.Thread(target=remove_folder, args=(tmp_path / "folder",)) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    remove_folder(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_remove_folder_file_in_its_place_stays(tmp_path):
    (tmp_path / "file").touch()
    remove_folder(tmp_path / "file")
    assert (tmp_path / "file").exists()

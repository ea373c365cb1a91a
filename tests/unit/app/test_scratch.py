"""Scratch folders of attempts."""

from stepline.app.scratch import ScratchFolders


def test_folder_is_never_one_that_another_platform_lent(tmp_path):
    with (
        ScratchFolders(str(tmp_path)).folder() as before,
        ScratchFolders(str(tmp_path)).folder() as now,
    ):
        assert before != now


def test_empty_folder_is_lent_again_and_another_one_removed(tmp_path):
    folders = ScratchFolders(str(tmp_path))
    with folders.folder() as first:
        pass
    with folders.folder() as second:
        (tmp_path / second / "left").touch()
    with folders.folder() as third:
        assert list((tmp_path / third).iterdir()) == []
    assert first == second != third


def test_clean_removes_what_was_left(tmp_path):
    left = tmp_path / "scratch" / "left"
    left.mkdir(parents=True)
    ScratchFolders(str(tmp_path / "scratch")).clean()
    assert not left.exists()

"""The files of one run: where its results can go."""

import pytest

from stepline.errors import SettingsError
from stepline.plugins.files_local.run_lake import RunLake


def check(out, work):
    RunLake(work / "files").check_results(out, beside=(), read=())


@pytest.mark.parametrize("out", ["out", "deep/er/out"])
def test_check_results_of_a_folder_to_be_made_is_passed_and_makes_nothing(tmp_path, out):
    check(tmp_path / out, tmp_path / ".work")
    assert list(tmp_path.iterdir()) == []


def test_check_results_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="file' is not a folder") as caught:
        check(tmp_path / "file" / "out", tmp_path / ".work")
    assert caught.value.hint


@pytest.mark.parametrize("size", [256, 5000])
def test_check_results_with_a_name_that_is_too_long_is_refused(tmp_path, size):
    with pytest.raises(SettingsError, match="too long a name"):
        check(tmp_path / ("x" * size), tmp_path / ".work")

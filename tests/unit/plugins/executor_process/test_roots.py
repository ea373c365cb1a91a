"""Where workers have their folders."""

import os

import pytest

from stepline.errors import PlatformError
from stepline.plugins.executor_process.roots import make_root, root_name


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

"""Names of a task script's files, as its author knows them."""

import pytest

from stepline_sdk.worker import modules


@pytest.fixture
def root(monkeypatch):
    """The folder of a worker, in whose ``work-0`` the import path was extended."""
    monkeypatch.setattr(modules, "_root", "/tmp/a+b (1)/stepline-1-2")
    return "/tmp/a+b (1)/stepline-1-2"


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ('File "{root}/work-0/./func/main.py", line 1', 'File "func/main.py", line 1'),
        ('File "{root}/work-0/func/pkg/main.py"', 'File "func/pkg/main.py"'),
        ('File "./func/main.py"', 'File "func/main.py"'),
        ("no such file: {root}/work-12/func/data.csv", "no such file: func/data.csv"),
        ("{root}/tmp-1/func/data.csv", "{root}/tmp-1/func/data.csv"),
        ("/elsewhere/work-0/func/main.py", "/elsewhere/work-0/func/main.py"),
        ("see ./func/main.py", "see ./func/main.py"),
    ],
)
def test_shorten_paths_names_files_from_func_on(root, text, short):
    assert modules.shorten_paths(text.format(root=root)) == short.format(root=root)


def test_shorten_paths_of_a_long_text_takes_no_time(root):
    text = "x" * 1_000_000 + "/work-0/func/"
    assert modules.shorten_paths(text) == text


def test_load_splits_at_the_last_dot():
    assert modules.load("os.path.join").__name__ == "join"


@pytest.mark.parametrize("target", ["os.path.nothing", "os.sep"])
def test_load_what_is_no_callable_is_named(target):
    with pytest.raises(modules.ScriptImportError, match=r"module 'os.*' \(.*py\) has no function"):
        modules.load(target)

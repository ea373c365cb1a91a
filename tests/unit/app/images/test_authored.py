"""Errors of builds name the author's files."""

from pathlib import Path

import pytest

from stepline.app.images.authored import Authored
from stepline.errors import ConfigError, Location, PlatformError, Problem

COPY = "/cache/code/1234"


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A task script's folder, named as from the current one."""
    monkeypatch.chdir(tmp_path)
    folder = Path("script")
    folder.mkdir()
    (folder / "requirements.txt").touch()
    (folder / "script").mkdir()
    return folder


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        pytest.param("requirements.txt", "script/requirements.txt", id="in the folder"),
        pytest.param(f"{COPY}/main.py", "script/main.py", id="of the copy"),
        pytest.param("script/config.json", "script/config.json", id="named already"),
        pytest.param("stepline.toml", "stepline.toml", id="elsewhere"),
        pytest.param("/etc/hosts", "/etc/hosts", id="whole path"),
    ],
)
def test_authored_error_names_the_authors_file(script, path, shown):
    authored = Authored()
    authored.add(script, COPY)
    error = ConfigError("wrong", where=Location(path, 2, 3))
    authored.mend(error)
    assert str(error) == f"{shown}:2:3: wrong"


def test_authored_problems_and_words_name_the_authors_files(script):
    authored = Authored()
    authored.add(script, COPY)
    error = ConfigError("wrong", problems=[Problem("x", "bad", Location("requirements.txt", 1))])
    authored.mend(error)
    assert str(error.problems[0].where) == "script/requirements.txt:1"
    other = PlatformError(f"{COPY}/main.py cannot be read")
    authored.mend(other)
    assert str(other) == "script/main.py cannot be read"


def test_authored_current_folder_needs_no_name(script, monkeypatch):
    monkeypatch.chdir(script)
    authored = Authored()
    authored.add(Path(), COPY)
    error = ConfigError("wrong", where=Location("requirements.txt", 1))
    authored.mend(error)
    assert str(error) == "requirements.txt:1: wrong"

"""Which service is meant: options, then a file, the environment, the folder's own."""

import json

import pytest

from stepline.cli.connection import HOME_FILE, find_connection
from stepline.errors import SettingsError

FULL = {"api_url": "http://127.0.0.1:8765/v1/", "auth_token": "tok-file", "org": "file"}
VARIABLES = {
    "TS_API_URL": "https://ts.example/v1",
    "TS_AUTH_TOKEN": "tok-ts",
    "TS_ORG": "ts",
    "TS_IGNORE_SSL": "True",
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, in which no service was started."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def find(config=None, environ=None, **given):
    return find_connection(given, config=config, environ=environ or {})


def test_find_connection_of_a_named_file_leaves_the_environment_out(folder):
    found = find(write(folder / "a.json", FULL), VARIABLES)
    assert (found.api_url, found.auth_token, found.org) == (
        "http://127.0.0.1:8765/v1",
        "tok-file",
        "file",
    )
    assert found.ignore_ssl is False


def test_find_connection_of_the_environment_goes_before_the_folder(folder):
    write(folder / HOME_FILE, FULL)
    found = find(environ=VARIABLES)
    assert (found.auth_token, found.org, found.ignore_ssl) == ("tok-ts", "ts", True)


def test_find_connection_own_variables_go_before_the_older_names():
    own = {"STEPLINE_ORG": "mine", "STEPLINE_IGNORE_SSL": "false"}
    found = find(environ={**VARIABLES, **own})
    assert (found.org, found.auth_token, found.ignore_ssl) == ("mine", "tok-ts", False)


def test_find_connection_of_the_folder_sends_its_token_nowhere_else(folder):
    write(folder / HOME_FILE, FULL)
    assert find().auth_token == "tok-file"
    with pytest.raises(SettingsError, match="the environment names no auth_token, no org"):
        find(environ={"STEPLINE_API_URL": "https://elsewhere.example/v1"})


def test_find_connection_options_win(folder):
    file = write(folder / "a.json", {**FULL, "ignore_ssl": False})
    found = find(file, org="typed", ignore_ssl=True)
    assert (found.org, found.ignore_ssl, found.auth_token) == ("typed", True, "tok-file")


@pytest.mark.parametrize(
    ("value", "ignored"),
    [(True, True), ("true", True), ("True", True), ("1", True), ("yes", False), (False, False)],
)
def test_find_connection_ignore_ssl_is_true_for_the_known_words(folder, value, ignored):
    assert find(write(folder / "a.json", {**FULL, "ignore_ssl": value})).ignore_ssl is ignored


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param("{", "not valid JSON", id="no JSON"),
        pytest.param([], "must hold a JSON object", id="a list"),
        pytest.param({**FULL, "api_url": "ftp://x"}, "no web address", id="address"),
        pytest.param({**FULL, "auth_token": "tök\nen"}, "characters that none has", id="token"),
        pytest.param({**FULL, "org": ""}, "names no org", id="no org"),
    ],
)
def test_find_connection_unusable_file_is_refused_without_its_token(folder, content, what):
    with pytest.raises(SettingsError, match=what) as refused:
        find(write(folder / "a.json", content))
    assert "tök" not in str(refused.value)
    assert "tok-file" not in str(refused.value)


def test_find_connection_missing_file_says_where(folder):
    with pytest.raises(SettingsError) as refused:
        find(folder / "none.json")
    assert str(refused.value.where) == str(folder / "none.json")
    assert "stepline serve" in refused.value.hint


def test_find_connection_without_any_tells_how_to_get_one():
    with pytest.raises(SettingsError, match="not known which service") as refused:
        find()
    assert "stepline serve" in refused.value.hint


def test_connection_printed_shows_no_token(folder):
    assert "tok-file" not in repr(find(write(folder / "a.json", FULL)))

"""The secret backends that come with Stepline."""

import os
import sys
import threading

import pytest

from stepline.errors import SettingsError
from stepline.plugins import secrets_env, secrets_file, secrets_prompt

BACKENDS = {"env": secrets_env, "file": secrets_file, "prompt": secrets_prompt}


def backend(name, environ=()):
    return BACKENDS[name].stepline_secret_backend(name, dict(environ))


@pytest.mark.parametrize("name", BACKENDS)
def test_hook_other_name_gives_nothing(name):
    assert BACKENDS[name].stepline_secret_backend("vault", {}) is None


def test_env_gives_the_variable():
    value = backend("env", {"MY_KEY": "secret-value"}).read("MY_KEY")
    assert (value.value, value.version) == ("secret-value", "env:MY_KEY")


def test_env_missing_variable_says_what_to_do():
    with pytest.raises(SettingsError) as caught:
        backend("env", {"OTHER": "secret-value"}).read("MY_KEY")
    assert "MY_KEY" in caught.value.what
    assert caught.value.hint == "export MY_KEY in the shell that starts Stepline"
    assert "secret-value" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"secret-value", "secret-value"),
        (b"secret-value\n", "secret-value"),
        (b"secret-value\r\n", "secret-value"),
        (b"secret-value\n\n", "secret-value\n"),
        (b"line one\nline two\n", "line one\nline two"),
        (b"line one\r\nline two", "line one\r\nline two"),
        (b"\xef\xbb\xbfsecret-value", "secret-value"),
    ],
    ids=["bare", "newline", "CRLF", "one newline only", "lines", "lines with CR", "BOM"],
)
def test_file_gives_its_content_without_one_final_newline(tmp_path, content, value):
    (tmp_path / "key").write_bytes(content)
    assert backend("file").read(str(tmp_path / "key")).value == value


def test_file_changed_value_counts_at_once_and_has_another_version(tmp_path):
    path = tmp_path / "key"
    secrets = backend("file")
    path.write_text("first-value")
    os.utime(path, ns=(1, 1))
    first = secrets.read(str(path))
    path.write_text("second-value")
    os.utime(path, ns=(2, 2))
    second = secrets.read(str(path))
    assert (first.value, second.value) == ("first-value", "second-value")
    assert first.version != second.version


def test_file_pipe_is_read_once_and_remembered(tmp_path):
    """A shell's <(command) can be read only once, and every task asks again."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("secret-value\n",))
    writer.start()
    secrets = backend("file")
    assert [secrets.read(str(path)).value for _ in range(2)] == ["secret-value", "secret-value"]
    writer.join(10)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing", None, "No such file or directory"),
        (".", None, "Is a directory"),
        ("binary", b"\xff\xfe\x00", "it is not UTF-8 text"),
        ("huge", b"x" * 70_000, "it has over 65,536 bytes"),
    ],
    ids=["missing", "folder", "not text", "huge"],
)
def test_file_that_holds_no_secret_is_refused_with_its_place(tmp_path, name, content, words):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        backend("file").read(str(path))
    assert caught.value.what == f"the secret in this file cannot be read: {words}"
    assert caught.value.where.path == str(path)
    assert caught.value.hint.startswith("name a readable text file")


def test_prompt_without_a_terminal_names_the_other_ways(monkeypatch):
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(SettingsError) as caught:
            backend("prompt").read("api_key")
    assert caught.value.what == "there is no terminal to ask for the secret 'api_key'"
    assert caught.value.hint == "give it by env:VARIABLE or file:PATH"

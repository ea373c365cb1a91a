"""How the task script that pushes to Kaggle runs a client, and what it makes of its words."""

import os

import pytest

from stepline_sdk.push import Refused, TryAgain

# A client that misbehaves as it is asked to; it is a real process.
CLIENT = """
import json, os, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    what = asked["call"]
    if what == "hang":
        time.sleep(60)
    if what == "end":
        os._exit(1)
    if what == "error":
        print(json.dumps({"error": asked["arguments"][0]}), flush=True)
        continue
    names = ("HOME", "TMPDIR", "KAGGLE_KEY", "KAGGLE_PROXY")
    found = {name: os.environ.get(name) for name in names}
    print(json.dumps({"value": [os.getpid(), asked["env"], found]}), flush=True)
"""


@pytest.fixture
def connection(script_module, tmp_path, monkeypatch):
    module = script_module("connection", task_script="push-kaggle")
    client = tmp_path / "client.py"
    client.write_text(CLIENT)
    monkeypatch.setattr(module, "_CLIENT", client)
    return module


def test_connection_gives_the_key_to_its_client_alone_and_a_home_of_its_own(
    connection, monkeypatch
):
    monkeypatch.setenv("KAGGLE_KEY", "of somebody else")
    monkeypatch.setenv("KAGGLE_PROXY", "a setting of a user")
    with connection.Connection("me", "a-key-0123") as kaggle:
        _, credentials, found = kaggle.ask("show")

    assert credentials == {"KAGGLE_USERNAME": "me", "KAGGLE_KEY": "a-key-0123"}
    assert (found["KAGGLE_KEY"], found["KAGGLE_PROXY"]) == (None, None)
    assert found["HOME"] == found["TMPDIR"]
    assert not os.path.exists(found["HOME"])


@pytest.mark.parametrize(("username", "key"), [("me", "KGAT_0123456"), ("", "0123456789")])
def test_connection_takes_a_token_by_its_beginning_or_without_a_user_name(
    connection, username, key
):
    with connection.Connection(username, key) as kaggle:
        assert kaggle.ask("show")[1] == {"KAGGLE_API_TOKEN": key}


@pytest.mark.parametrize(
    ("call", "words"),
    [("hang", r"no answer from Kaggle within 0\.3 s"), ("end", "ended without an answer")],
)
def test_connection_starts_a_client_anew_that_hangs_or_ends(connection, monkeypatch, call, words):
    with connection.Connection("me", "a-key-0123") as kaggle:
        first = kaggle.ask("show")[0]
        monkeypatch.setattr(connection, "CALL_S", 0.3)
        with pytest.raises(TryAgain, match=words):
            kaggle.ask(call)
        monkeypatch.setattr(connection, "CALL_S", 30.0)
        assert kaggle.ask("show")[0] != first


TOLD = {
    "missing": ({"kind": "missing", "status": 404}, "Missing"),
    "busy": ({"kind": "again", "status": 429}, "TryAgain"),
    "refused": ({"kind": "refused", "status": 403}, "Refused"),
    "not signed in": ({"kind": "refused", "status": 401}, "Refused"),
}


@pytest.mark.parametrize("name", TOLD)
def test_connection_tells_errors_in_the_words_of_the_service(connection, name):
    error, kind = TOLD[name]
    error = {"words": "no room", "after_s": 3.0, "clear": True, **error}
    with connection.Connection("me", "a-key-0123") as kaggle:
        with pytest.raises((Refused, TryAgain), match="no room") as told:
            kaggle.ask("error", error)
        assert type(told.value).__name__ == kind
        assert getattr(told.value, "after_s", 3.0) == 3.0
        if kind == "Missing":
            assert kaggle.find("error", error) is None

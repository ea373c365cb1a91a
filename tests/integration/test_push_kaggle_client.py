"""How the task script that pushes to Kaggle runs a client, and what it makes of its words."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from stepline_sdk.push import Mark, Published, Refused, Staged, StagedFile, TryAgain
from tests.support.executors import process_is_there, wait_until

SCRIPT = Path(__file__).parents[2] / "task-scripts/push-kaggle"

# A client that misbehaves as it is asked to; it is a real process.
CLIENT = """
import json, os, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    what = asked["call"]
    if what.startswith("create_"):
        open(os.path.join(os.environ["HOME"], "sent"), "x").close()
        time.sleep(60)
    if what == "hang":
        time.sleep(60)
    if what == "model_download":
        for name in ("weights.bin", "vocabulary.txt"):
            with open(os.path.join(asked["arguments"][1], name), "x") as file:
                file.write(name)
        print(json.dumps({"value": None}), flush=True)
        continue
    if what == "model_files":
        print(json.dumps({"value": {"weights.bin": 11, "vocabulary.txt": 14}}), flush=True)
        continue
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
    [
        ("hang", r"no answer from Kaggle within 0\.3 s"),
        ("create_version", r"no answer from Kaggle within 0\.3 s"),
        ("end", "ended without an answer"),
    ],
)
def test_connection_starts_a_client_anew_that_hangs_or_ends(connection, monkeypatch, call, words):
    with connection.Connection("me", "a-key-0123") as kaggle:
        first = kaggle.ask("show")[0]
        monkeypatch.setattr(connection, "CALL_S", 0.3)
        with pytest.raises(TryAgain, match=words) as told:
            kaggle.ask(call)
        assert told.value.clear is (call != "create_version")
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


@pytest.fixture
def model(connection, script_module):
    """Returns a destination, given its connection."""
    about = {"title": "", "licence": "MIT"}
    module = script_module("model", task_script="push-kaggle")

    def model(kaggle):
        return module.KaggleModel(kaggle, "me/plates/onnx/a", about=about, most_bytes=10**12)

    return model


def test_model_that_is_read_back_leaves_no_folder(connection, model, tmp_path, monkeypatch):
    (home := tmp_path / "home").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    with connection.Connection("me", "a-key-0123") as kaggle:
        published = Published("me/plates/onnx/a", "1")
        model(kaggle).download(published, "weights.bin", str(tmp_path / "got"))

    assert (tmp_path / "got").read_text() == "weights.bin"
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("size", "limit"), [(100_000_000, None), (100_000_001, 0)], ids=["small", "large"]
)
def test_model_that_is_large_is_compared_by_size_alone(connection, model, size, limit):
    file = StagedFile("weights.bin", "/nowhere", size, "0" * 64)
    staged = Staged("/nowhere", {file.name: file}, Mark("a" * 32, "b" * 32), "")
    with connection.Connection("me", "a-key-0123") as kaggle:
        destination = model(kaggle)
        destination.check(staged)

    assert destination.download_limit == limit


# Asks the real client, and leaves a process that holds its input open, so that it does not end
# for the end of that.
ASKING = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from connection import Connection
with Connection("me", "a-key-0123") as kaggle:
    try:
        kaggle.ask("sign_in")
    except Exception:
        pass  # the library that it wants is not there, and it goes on
    holding = os.fork()
    if holding:
        print(kaggle._process.pid, holding, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a signal at the parent's end")
def test_client_ends_with_who_asks_it():
    words = [sys.executable, "-c", ASKING, str(SCRIPT)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as asking:
        client, holding = map(int, asking.stdout.readline().split())
        assert process_is_there(client)
        asking.kill()
        asking.wait()
        gone = wait_until(lambda: not process_is_there(client), seconds=5)
        for pid in [holding] if gone else [client, holding]:
            os.kill(pid, signal.SIGKILL)

    assert gone

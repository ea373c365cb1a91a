"""The sdk in processes of other Pythons, with the platform's real end in this one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import stepline_sdk
from tests.support import sdk_child
from tests.support.contexts import World
from tests.support.pythons import find_pythons

HOME = str(Path(stepline_sdk.__file__).parents[1])
PYTHONS = find_pythons()
BIG = 256 * 1024 * 1024


def run_child(python, act, attempt):
    """Run a function of `sdk_child` on a Python, and serve its calls until it ends."""
    reading, writing = os.pipe()
    command = [python, "-W", "error", "-X", "dev", sdk_child.__file__, HOME, str(writing)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, pass_fds=[writing])
    os.close(writing)
    with child, os.fdopen(reading) as calls:
        values, function = dict(attempt.scope.values), {"slug": "decode"}
        folders = {"scratch_dir": str(attempt.scratch), "tmp_dir": str(attempt.tmp)}
        send(child, {"act": act, "values": values, "function": function, **folders})
        for line in calls:
            method, params = json.loads(line)
            if method == "result":
                assert child.wait(timeout=60) == 0
                return params
            send(child, attempt.service.answer(method, params))
    raise AssertionError(f"the child ended with {child.returncode} and no result")


def send(child, message):
    child.stdin.write(json.dumps(message) + "\n")
    child.stdin.flush()


def make_attempt(folder, **world):
    folder.mkdir()
    made = World(folder, secrets={"key": "s3cret"}, **world)
    return made.attempt({"pipelineConfig": {"ts_secret_name_key": "key"}})


def comparable(result):
    """Leave out what differs between folders: the first parts of keys."""
    written = [[key.split("/")[2:], body] for key, body in result["written"]]
    return json.loads(json.dumps({**result, "written": written}))


@pytest.mark.pythons
@pytest.mark.skipif(len(PYTHONS) < 2, reason=f"only {', '.join(PYTHONS) or 'no Python'} found")
@pytest.mark.parametrize("version", PYTHONS)
def test_context_behaves_alike_on_every_python(tmp_path, version):
    expected = sdk_child.scenario(make_attempt(tmp_path / "here").context)
    there = run_child(PYTHONS[version], "scenario", make_attempt(tmp_path / "there"))
    assert comparable(there) == comparable(expected)
    assert None not in there["refusals"]


def test_context_large_files_stay_out_of_memory(tmp_path):
    attempt = make_attempt(tmp_path / "world", input_size=BIG)
    growth_mb, size = run_child(sys.executable, "stream_through", attempt)
    assert size == BIG
    assert growth_mb < 24
    assert list(attempt.scratch.iterdir()) == []

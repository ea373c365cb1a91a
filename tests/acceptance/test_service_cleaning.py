"""Operators clean and verify a service that works, and one that is killed meanwhile."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from stepline.plugins.files_local.store import FolderStore
from tests.support.projects import Project
from tests.support.served import Served, wait_for

DAY_S = 24 * 3600.0
WAIT = """
import os, time
def work(input, context):
    print("begun", flush=True)
    end = time.monotonic() + 60
    while not os.path.exists({path!r}) and time.monotonic() < end:
        time.sleep(0.02)
    context.write_file("done", "done.txt", "PROCESSED")
"""


@pytest.fixture
def served(tmp_path, stepline_cache):
    """A service with a cache of its own."""
    project = Project(tmp_path, stepline_cache)
    project.environ["STEPLINE_CACHE_DIR"] = str(tmp_path / "own-cache")
    served = Served(project)
    yield served
    served.stop()


def strays(served, count, size=1000):
    """Store old bytes that nothing refers to, as a service leaves that is killed."""
    store = FolderStore(str(served.home / "files"), durable=True)
    source, staging = served.project.folder / "stray", store.staging()
    names = []
    for number in range(count):
        source.write_bytes(b"%d" % number * size)
        names.append(staging.add(str(source)).name)
    staging.publish()
    paths = [Path(store.local_path(name)) for name in names]
    age(*paths)
    return paths


def age(*paths, days=7):
    for path in paths:
        os.utime(path, (time.time() - days * DAY_S,) * 2)


def blobs(served):
    return {path for path in (served.home / "files" / "blobs").glob("*/*") if path.is_file()}


def cleaned(served, *words):
    """Clean, and return count and bytes of each kind."""
    items = json.loads(served.run("clean", "--json", *words))["items"]
    assert all("error" not in item for item in items), items
    return {item["kind"]: (item["count"], item["bytes"]) for item in items}


def test_clean_tells_what_it_would_free_and_then_frees_it(served):
    served.upload("a.txt", "kept")
    kept, paths = blobs(served), strays(served, 3)
    assert cleaned(served, "--dry-run")["blobs"] == (3, 3000)
    assert blobs(served) == kept.union(paths)
    printed = served.run("clean", "--home", served.home)
    assert "blobs of files and archives  3  2.9 KiB\nfreed 2.9 KiB\n" in printed
    assert blobs(served) == kept


def test_clean_beside_a_workflow_that_runs_takes_nothing_from_it(served):
    go_on = served.project.folder / "go-on"
    served.simple("wait", WAIT.format(path=str(go_on)))
    served.upload("a.txt", "a")
    wait_for(lambda: served.workflows() and served.log(served.workflows()[0]["id"]) == ["begun"])
    age(*(served.project.folder / "own-cache").glob("*/*.used"), *blobs(served))
    assert set(cleaned(served, "--older-than", "0s").values()) == {(0, 0)}
    go_on.touch()
    (workflow,) = served.ended(1)
    assert workflow["status"] == "completed"
    assert served.log(workflow["id"]) == ["begun"]
    assert cleaned(served, "--older-than", "0s")["logs"][0] == 1
    assert served.log(workflow["id"]) == []
    assert served.get(f"/workflow/{workflow['id']}")["status"] == "completed"


def test_service_that_is_killed_while_it_cleans_loses_no_file(served):
    sent = [served.upload(f"{number}.txt", b"%d" % number) for number in range(20)]
    strays(served, 3000, size=1)
    before = len(blobs(served))
    command = served.project.command("clean", "-c", served.home / "auth.json")
    cleaning = subprocess.Popen(command, env=served.project.environ, stderr=subprocess.PIPE)
    wait_for(lambda: len(blobs(served)) < before)
    served.kill()
    said = cleaning.communicate(timeout=60)[1].decode()
    again = Served(served.project)
    try:
        assert (cleaning.returncode, "is the service running?" in said) in ((3, True), (0, False))
        assert "all whole" in again.run("files", "verify")
        age(*blobs(again))
        cleaned(again)
        assert len(blobs(again)) == len(sent)
        assert cleaned(again)["blobs"] == (0, 0)
    finally:
        again.stop()


def test_verify_names_files_whose_bytes_are_damaged_or_missing(served):
    names = ("whole.txt", "damaged.txt", "missing.txt")
    sent = {name: served.upload(name, f"bytes of {name}") for name in names}
    assert served.run("files", "verify") == "3 blobs were read: all whole\n"
    paths = {path.name: path for path in blobs(served)}
    damaged = paths[sent["damaged.txt"]["sha256"]]
    damaged.write_bytes(b"x" * damaged.stat().st_size)
    paths[sent["missing.txt"]["sha256"]].unlink()
    result = served.project.stepline("files", "verify")
    assert (result.returncode, "whole.txt" in result.stdout) == (1, False)
    for name in names[1:]:
        info = sent[name]
        said = f"{name[:-4]}: sha256:{info['sha256']}\n  upload/RAW/{name}  version "
        assert f"{said}{info['file']['version']}  id {info['fileId']}\n" in result.stdout
    assert result.stdout.endswith("3 blobs were read: 2 damaged or missing\n")
    assert served.project.stepline("files", "verify", "whole.txt").returncode == 0
    one = served.project.stepline("files", "verify", sent["missing.txt"]["fileId"], "--json")
    assert (one.returncode, json.loads(one.stdout)["checked"]) == (1, 1)


def test_clean_that_cannot_remove_something_does_the_rest_and_says_so(served):
    (path,) = strays(served, 1)
    code = served.project.folder / "own-cache" / "code"
    code.parent.mkdir(exist_ok=True)
    code.mkdir()
    # No folder for a mark can be made beside it, whoever asks.
    (code / ("a" * 64)).mkdir()
    (code / ("a" * 64 + ".used")).mkdir()
    result = served.project.stepline("clean")
    assert (result.returncode, path.exists()) == (3, False)
    assert "copies of artifacts          ?  not known\n" in result.stdout
    assert "error: copies of task scripts cannot be removed" in result.stderr
    assert "hint: look at the permissions of the cache" in result.stderr


@pytest.mark.parametrize("words", [("clean",), ("files", "verify")], ids=" ".join)
def test_upkeep_of_a_service_that_does_not_run_says_so(served, words):
    served.stop()
    result = served.project.stepline(*words)
    assert (result.returncode, result.stdout) == (3, "")
    assert "no answer from" in result.stderr
    assert "is the service running? stepline serve" in result.stderr


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--older-than", "long"), "'long' is no time"),
        (("--home", "a", "-c", "b"), "--home and --config both name a service"),
        (("--home", "nowhere"), "nowhere/auth.json: error: the file cannot be read"),
    ],
    ids=["time", "both", "no service"],
)
def test_clean_bad_words_are_refused(tmp_path, stepline_cache, words, what):
    result = Project(tmp_path, stepline_cache).stepline("clean", *words)
    assert (result.returncode, what in result.stderr) == (2, True), result.stderr

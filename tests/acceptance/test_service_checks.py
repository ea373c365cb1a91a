"""Acceptance checks of the push-pipeline system (A.003): what a running service does with files.

Each test is named after its check.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from stepline.testing.kaggle_standin import KaggleStandIn
from tests.support.served import Served, wait_for

EXAMPLE = Path(__file__).parents[2] / "examples" / "push-to-kaggle"
KAGGLE_KEY = "0123456789abcdef0123456789abcdef"
WITHIN_S = 10.0

UPPER = """
def work(input, context):
    text = context.read_file(context.input_file)["body"].decode()
    return context.write_file(text.upper(), "upper.txt", "PROCESSED")
"""
ASK = """
def work(input, context):
    value = context.resolve_secret(input["key"])
    print("the value is", value)
    if value.startswith("wrong"):
        raise ValueError("refused with " + value)
    return {"length": len(value)}
"""


@pytest.fixture
def served(project):
    """A service with nothing in it."""
    service = Served(project)
    yield service
    service.stop()


def of_file(served, record):
    """The decisions about a file, each as decision and workflow id."""
    found = served.decisions(record["fileId"])
    return [(each["decision"], bool(each["workflowId"])) for each in found]


def set_secret(served, name, value):
    """Give a secret on standard input, as a script does."""
    done = subprocess.run(
        served.project.command("secret", "set", name),
        cwd=served.project.folder,
        env=served.project.environ,
        input=value,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert value not in done.stdout + done.stderr


def put_asking(served):
    """Publish a protocol that asks for a secret."""
    served.put_script("ask", ASK, ["work"])
    served.put_protocol(
        "ask",
        [{"id": "work", "function": "ask/work", "input": {"key": "$( config.key )"}}],
        config={"key": {"label": "Key", "type": "secret", "required": True}},
    )


# 3-20


def test_3_20_a_matching_file_starts_one_workflow_within_seconds(served):
    served.simple("upper", UPPER, trigger="sourceType is ssp-demo")
    path = served.project.write("run42.json", "abc")
    began = time.monotonic()
    printed = served.run("upload", path, "--source-type", "ssp-demo", "--label", "plate=7")
    (workflow,) = served.ended(1)
    assert time.monotonic() - began < WITHIN_S
    assert f"fired: upper: workflow {workflow['id']}" in printed
    assert workflow["status"] == "completed"
    assert [each["filePath"].rpartition("/")[2] for each in workflow["files"]] == ["upper.txt"]
    file_id = workflow["inputFile"]["fileId"]
    content = served.http.get(f"/files/{workflow['files'][0]['fileId']}/content").content
    assert content == b"ABC"
    labels = served.get(f"/files/{file_id}/labels")
    assert [(each["name"], each["value"]) for each in labels] == [("plate", "7")]


def test_3_20_a_file_that_does_not_match_starts_none_and_says_why(served):
    served.simple("upper", UPPER, trigger="sourceType is ssp-demo")
    path = served.project.write("balance.json", "abc")
    printed = served.run("upload", path, "--source-type", "balance")
    assert "no pipeline fired" in printed
    assert served.workflows() == []
    explained = served.run("explain", "balance.json")
    assert "not-matched" in explained
    assert "sourceType is ssp-demo: the file's is balance" in explained


def test_3_20_the_same_file_again_starts_one_for_the_new_version(served):
    served.simple("upper", UPPER)
    first = served.upload("a.txt", "one")
    served.ended(1)
    second = served.upload("a.txt", "one")
    runs = served.ended(2)
    assert first["fileId"] != second["fileId"]
    assert [each["inputFileId"] for each in runs] == [first["fileId"], second["fileId"]]
    versions = served.get(f"/files/{second['fileId']}/versions")["items"]
    assert [each["fileId"] for each in versions] == [first["fileId"], second["fileId"]]
    assert of_file(served, first) == of_file(served, second) == [("fired", True)]


# 3-21


def test_3_21_a_workflows_own_output_does_not_start_it_again(served):
    served.simple("upper", UPPER, trigger="category is one of raw, processed")
    served.upload("a.txt", "one")
    (workflow,) = served.ended(1)
    (written,) = workflow["files"]
    assert of_file(served, written) == [("loop", False)]
    explained = served.run("explain", written["fileId"])
    assert "loop" in explained
    assert len(served.workflows()) == 1


def test_3_21_two_pipelines_that_feed_each_other_are_stopped(served):
    served.simple("ping", UPPER, trigger="category is one of raw, processed")
    served.simple("pong", UPPER, trigger="category is one of raw, processed")
    served.upload("a.txt", "one")
    wait_for(lambda: any(each["decision"] == "loop" for each in all_decisions(served)))
    wait_for(lambda: all(each["status"] == "completed" for each in served.workflows()))
    count = len(served.workflows())
    assert count == 4  # each one for the file, and for what the other made of it
    fired = [each for each in all_decisions(served) if each["decision"] == "fired"]
    assert len(fired) == count


def all_decisions(served):
    names = ("ping", "pong")
    return [each for name in names for each in served.get(f"/pipelines/{name}/explain")["items"]]


# 3-16, 3-17


def test_3_16_the_next_run_has_the_changed_secret_with_no_rebuild(served):
    put_asking(served)
    set_secret(served, "api-key", "wrong-value")
    served.pipeline("ask", config={"key": {"secret": "api-key"}})
    served.upload("a.txt", "x")
    (failed,) = served.ended(1)
    assert failed["output"] == {"type": "error", "error": "refused with ***"}
    set_secret(served, "api-key", "right-value-2")
    served.upload("b.txt", "x")
    assert served.ended(2)[1]["output"]["result"] == {"length": len("right-value-2")}
    served.run("workflow", "retry", failed["id"])
    wait_for(lambda: served.get(f"/workflow/{failed['id']}")["status"] == "completed")
    reads = [
        each["reads"] for each in served.get(f"/workflow/{failed['id']}")["tasks"][0]["attempts"]
    ]
    assert [each[0]["version"] for each in reads] == ["1", "2"]
    assert "wrong-value" not in served.said + json.dumps(reads)


def test_3_16_the_log_shows_neither_the_old_nor_the_new_value(served):
    put_asking(served)
    set_secret(served, "api-key", "wrong-value")
    served.pipeline("ask", config={"key": {"secret": "api-key"}})
    served.upload("a.txt", "x")
    (workflow,) = served.ended(1)
    set_secret(served, "api-key", "right-value-2")
    served.run("workflow", "retry", workflow["id"])
    wait_for(lambda: served.get(f"/workflow/{workflow['id']}")["status"] == "completed")
    assert served.log(workflow["id"]) == ["the value is ***"]
    kept = b"".join(path.read_bytes() for path in served.home.rglob("*") if path.is_file())
    assert b"wrong-value" not in kept
    assert b"right-value-2" not in kept


def test_3_17_settings_show_values_and_secrets_only_names_and_last_change(served):
    served.run("setting", "set", "kaggle_username", "me")
    set_secret(served, "kaggle-api-key", KAGGLE_KEY)
    assert served.get("/settings")["items"] == [{"name": "kaggle_username", "value": "me"}]
    assert "me" in served.run("setting", "list").splitlines()[-1]
    (secret,) = served.get("/secrets")["items"]
    assert set(secret) == {"name", "version", "edits", "updatedAt"}
    listed = served.run("secret", "list")
    assert "kaggle-api-key" in listed
    assert KAGGLE_KEY not in listed + served.run("secret", "list", "--json")


def test_3_17_only_who_has_the_token_may_set_them(served):
    anybody = {"ts-auth-token": "not-the-token"}
    for path in ("/settings/a", "/secrets/a"):
        served.refused("PUT", path, 401, json={"value": "abcdefgh"}, headers=anybody)
    assert served.get("/settings")["items"] == []
    assert served.get("/secrets")["items"] == []


# The whole way, as its users type it.


@pytest.fixture
def pushing(project):
    """The example's task script, protocol and pipeline, served, with a stand-in for Kaggle."""
    leave = shutil.ignore_patterns("__pycache__", ".stepline", "results")
    shutil.copytree(EXAMPLE, project.folder, ignore=leave, dirs_exist_ok=True)
    with KaggleStandIn(accounts={"me": KAGGLE_KEY}) as kaggle:
        service = Served(project, STEPLINE_TASK_ENV=json.dumps(dict(kaggle.env)))
        try:
            yield service, kaggle
        finally:
            service.stop()


PIPELINE = {
    "name": "push",
    "protocol": "private-demo/v3-push:v1.0.0",
    "trigger": {"all": ["category is raw", "sourceType is ssp-demo"]},
    "config": {
        "kaggle_username": {"setting": "kaggle_username"},
        "kaggle_api_key": {"secret": "kaggle-api-key"},
    },
    "retry": "off",
    "max_parallel_workflows": 1,
}


def deploy_push(served, *, key):
    """Do all that comes before the first upload."""
    served.run("common", "install", "push-kaggle")
    served.run("put", "task-script", "private-demo", "sspdemo", "v1.0.0", "task-scripts/sspdemo")
    served.run("put", "protocol", "private-demo", "v3-push", "v1.0.0", "protocols/v3-push")
    served.run("setting", "set", "kaggle_username", "me")
    set_secret(served, "kaggle-api-key", key)
    path = served.project.write("pipelines/push.yml", json.dumps(PIPELINE))
    served.run("pipeline", "apply", path)


@pytest.mark.kaggle
@pytest.mark.slow
def test_3_20_each_uploaded_file_is_pushed_byte_for_byte(pushing):
    served, kaggle = pushing
    deploy_push(served, key=KAGGLE_KEY)
    for name in ("run42", "run43"):
        served.run("upload", f"data/{name}.json", "--source-type", "ssp-demo")
    runs = served.ended(2)
    (dataset,) = kaggle.datasets.values()
    assert (dataset.owner, dataset.slug) == ("me", "exampledataset")
    received = [kaggle.blob(version.files[0].sha256) for version in dataset.versions]
    for workflow in runs:
        (made,) = [each for each in workflow["files"] if each["filePath"].endswith("enriched.json")]
        extra = served.http.get(f"/files/{made['fileId']}/content").json()["extra_data"]
        number = int(workflow["output"]["result"]["remote"]["version"])
        assert json.loads(received[number - 1]) == {"data": extra}
    assert len(received) == 2


@pytest.mark.kaggle
@pytest.mark.slow
def test_3_16_a_push_with_a_wrong_key_is_made_up_for_once_it_is_mended(pushing):
    served, kaggle = pushing
    deploy_push(served, key="a-key-that-is-wrong")
    served.run("upload", "data/run42.json", "--source-type", "ssp-demo")
    (failed,) = served.ended(1)
    assert [each["status"] for each in failed["tasks"]] == ["completed"] * 4 + ["failed"]
    assert kaggle.datasets == {}
    set_secret(served, "kaggle-api-key", KAGGLE_KEY)
    served.run("reprocess", "push", "--failed", "--since", "7d")
    assert served.ended(2)[1]["output"]["result"]["remote"]["version"] == "1"
    (dataset,) = kaggle.datasets.values()
    assert len(dataset.versions) == 1
    served.run("reprocess", "push", "--failed", "--since", "7d")  # nothing is left to do
    assert len(served.workflows()) == 2

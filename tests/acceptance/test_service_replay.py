"""Workflows of a service, run again on the caller's machine."""

from __future__ import annotations

import json

import pytest

from tests.support.projects import Project
from tests.support.served import Served

MAIN = """
def prepare(input, context):
    read = context.read_file(input["file"])
    labels = context.get_labels(input["file"])
    assert [(each["name"], each["value"]) for each in labels] == [("plate", "7")], labels
    text = read["body"].decode().upper() + read["custom_metadata"]["lab"]
    return {"file": context.write_file(text, "upper.txt", "PROCESSED"), "plate": labels[0]}

def push(input, context):
    token = context.resolve_secret(input["token"])
    text = context.read_file(input["file"])["body"].decode()
    print(f"push {text} with {token} for {context.pipeline_config['who']}")
    raise ValueError(f"the site refused {token[:4]}{len(token)}")
"""
TOKEN = "real-and-long-token"
STEPS = [
    {
        "id": "prepare",
        "function": "s/prepare",
        "input": {"file": "$( workflow.inputFile )"},
    },
    {
        "id": "push",
        "function": "s/push",
        "input": {"file": "$( steps.prepare.output.file )", "token": "$( config.token )"},
    },
]
CONFIG = {
    "token": {"label": "Token", "type": "secret", "required": True},
    "who": {"label": "Who", "type": "string"},
}


@pytest.fixture(scope="module")
def served(tmp_path_factory, stepline_cache):
    """A service with one workflow, whose second step failed."""
    project = Project(tmp_path_factory.mktemp("replay"), stepline_cache)
    service = Served(project)
    try:
        service.put_script("s", MAIN, ["prepare", "push"])
        service.put_protocol("p", STEPS, config=CONFIG)
        answer = service.http.put("/secrets/site-token", json={"value": TOKEN})
        assert answer.status_code < 300, answer.text
        service.pipeline("p", config={"token": {"secret": "site-token"}, "who": "Ada"})
        service.upload("day/a.txt", "one", label="plate=7", **{"meta.lab": "-B"})
        service.ended(1)
        yield service
    finally:
        service.stop()


@pytest.fixture
def workflow(served):
    (found,) = served.workflows()
    before = served.get("/files")["total"]
    yield served.get(f"/workflow/{found['id']}")
    assert (len(served.workflows()), served.get("/files")["total"]) == (1, before)


def replay(served, workflow, *words, **variables):
    out = served.project.folder / "results"
    return served.project.stepline("replay", workflow["id"], "--out", out, *words, **variables)


def test_replay_gives_every_step_the_recorded_outcome(served, workflow):
    assert workflow["tasks"][1]["attempts"][0]["message"] == "the site refused real19"
    result = replay(served, workflow, "--secret", "token=env:MINE", MINE=TOKEN)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "[1/2] prepare" in result.stdout
    assert "  | push ONE-B with *** for Ada" in result.stdout
    assert "  prepare: the same: success\n  push: the same: failed\n" in result.stdout
    record = served.project.record()
    assert record["replayOf"]["workflowId"] == workflow["id"] != record["id"]
    assert [each["same"] for each in record["replayOf"]["steps"]] == [True, True]
    (written,) = served.project.files().values()
    assert written["file"]["fileKey"] == "demo/upload/PROCESSED/day/a.txt/upper.txt"
    assert written["provenance"]["workflowId"] == record["id"]


def test_replay_without_secrets_has_placeholders_for_them(served, workflow):
    result = replay(served, workflow)
    assert result.returncode == 1, result.stderr
    assert "  | push ONE-B with *** for Ada" in result.stdout
    assert "recorded raised: the site refused real19" in result.stdout
    assert "here raised: the site refused plac17" in result.stdout
    record = served.project.record()
    assert record["secrets"] == {"token": "placeholder:token"}
    assert "placeholder-token" not in result.stdout


def test_replay_of_a_step_uses_its_recorded_input_and_limits(served, workflow):
    result = replay(served, workflow, "--step", "prepare")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "[1/1] prepare" in result.stdout
    assert "  prepare: the same: success\n" in result.stdout
    (step,) = served.project.record()["steps"]
    task = workflow["tasks"][0]
    assert step["input"] == task["input"]
    limits = [task["taskMemoryInMB"], task["timeoutInSec"]]
    assert [step["memoryInMB"], step["timeoutInSec"]] == limits
    (read, *_) = step["attempts"][0]["reads"]
    assert read == task["attempts"][0]["reads"][0]


def test_failed_step_is_replayed_with_prints_and_with_the_mistake_mended(
    served, workflow, tmp_path
):
    own = Project(tmp_path, served.project.cache)
    words = ("--step", "2", "--task-scripts", tmp_path / "task-scripts")
    shown = MAIN.replace("    raise", "    print(repr(text), context.workflow_id)\n    raise")
    home = own.task_script("s", shown, ["prepare", "push"])
    result = replay(served, workflow, *words)
    assert result.returncode == 1, result.stderr
    assert "  | 'ONE-B' " in result.stdout
    assert f"runs {home}, not what was recorded" in result.stderr
    own.task_script("s", MAIN.replace("    raise", "    return text\n    raise"), ["push"])
    result = replay(served, workflow, *words)
    assert result.returncode == 0, result.stderr
    assert "recorded failed: raised: the site refused real19, here success" in result.stdout


def test_replay_prints_its_record_as_json(served, workflow):
    result = replay(served, workflow, "--step", "1", "--json")
    assert result.returncode == 0, result.stderr
    record = json.loads(result.stdout)
    assert record == served.project.record()
    assert record["replayOf"] == {
        "workflowId": workflow["id"],
        "platformUrl": served.auth["api_url"].removesuffix("/v1"),
        "status": "failed",
        "steps": [{"step": "prepare", "same": True, "words": "success"}],
    }


def test_replay_runs_what_was_pinned_though_the_version_has_moved(served, workflow):
    folder = served.project.task_script("s", "def prepare(i, c): return 'new'\n", ["prepare"])
    words = ("put", "task-script", "private-demo", "s", "v1.0.0", folder, "-f")
    assert served.project.stepline(*words).returncode == 0
    result = replay(served, workflow, "--step", "prepare")
    assert "  prepare: the same: success\n" in result.stdout, result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--step", "pusch"], "the workflow has no step 'pusch'"),
        (["--step", "3"], "its steps are prepare, push, or 1 to 2"),
        (["--secret", "tokn=env:MINE"], "the workflow has no secret 'tokn'"),
        (["--secret", "token=env:MINE"], "MINE, which is to hold a secret, is not set"),
    ],
    ids=["step", "number", "secret", "variable"],
)
def test_replay_of_what_there_is_not_is_refused(served, workflow, words, message):
    result = replay(served, workflow, *words)
    assert result.returncode == 2
    assert message in result.stderr


def test_replay_of_an_unknown_workflow_is_refused(served, workflow):
    result = replay(served, {"id": "nobody"})
    assert result.returncode == 2
    assert "there is no workflow with the id 'nobody'" in result.stderr


def test_results_of_a_replay_are_not_retried(served, workflow):
    replay(served, workflow)
    name = "private-demo/p:v1.0.0"
    result = served.project.stepline("run", name, "--out", "results", "--retry")
    assert result.returncode == 2
    assert f"stepline replay {workflow['id']}" in result.stderr

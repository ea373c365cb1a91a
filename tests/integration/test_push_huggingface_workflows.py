"""Workflows that push to the Hugging Face Hub, and workers that are killed while they do."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from stepline.testing.huggingface_standin import HuggingFaceStandIn
from stepline.testing.loopback import Hold
from stepline_sdk.push import find_mark
from stepline_sdk.worker.processes import descendants
from tests.support.executors import wait_until
from tests.support.hub_client import ROOT, TOKEN, hub_environment
from tests.support.projects import Project

__all__ = ["hub_environment"]

pytestmark = pytest.mark.huggingface

WEIGHTS = bytes(range(256)) * 40

# What a first push asks for, in order: of a large file, with a card, which is a small one.
CALLS = (
    "RepoInfo CreateRepo ListCommits ListTree Preupload LfsBatch PutLfs VerifyLfs ValidateCard "
    "Commit RepoInfo ListCommits ListTree HeadFile GetFile"
).split()
WRITING = {"CreateRepo", "PutLfs", "Commit"}


@dataclass
class Workflow:
    """A workflow of the ready-made protocol, in a project's folder, against a stand-in."""

    project: Project
    hub: HuggingFaceStandIn
    words: list[str] = field(default_factory=list)

    def __post_init__(self):
        protocol, scripts = ROOT / "protocols/push-dataset-to-huggingface", ROOT / "task-scripts"
        self.project.write("weights.bin", WEIGHTS)
        self.words = ["run", protocol, "--task-scripts", scripts, "--input", "weights.bin"]
        for key, value in {"repo": "me/plates", "endpoint": self.hub.url, "licence": "mit"}.items():
            self.words += ["--config", f"{key}={value}"]
        self.words += ["--secret", "token=env:HUB_TOKEN", "--out", "results"]

    def run(self, *words):
        return self.project.stepline(*self.words, *words, HUB_TOKEN=TOKEN)

    def run_and_kill(self, hold, *, release=True):
        """Run the workflow, and kill its worker with all below it where a request is held.

        The platform tries the step again by itself.

        Args:
            hold: Holds the request.
            release: Whether what is held takes its effect before that.
        """
        self.hub.faults.append(hold)
        with self.project.start(*self.words, HUB_TOKEN=TOKEN) as process:
            try:
                wait_until(lambda: hold.reached.is_set() or process.poll() is not None, seconds=60)
                for pid in descendants(process.pid):
                    os.kill(pid, signal.SIGKILL)
                if release:
                    hold.release()
                return process.communicate(timeout=60)
            finally:
                process.kill()

    def commits(self):
        """Return the commits that a push made."""
        repo = self.hub.datasets.get("me/plates")
        return [each for each in repo.commits if find_mark(each.description)] if repo else []


@pytest.fixture
def hub():
    with HuggingFaceStandIn(accounts={"me": TOKEN}) as service:
        yield service


@pytest.fixture
def workflow(hub, hub_environment, stepline_cache, tmp_path):
    return Workflow(Project(tmp_path, stepline_cache), hub)


def test_workflow_of_the_protocol_ends_with_a_verified_receipt(workflow, hub):
    done = workflow.run()

    assert done.returncode == 0, done.stderr
    (commit,) = workflow.commits()
    assert hub.blob(commit.files["weights.bin"].sha256) == WEIGHTS
    assert hub.operations == CALLS
    receipt = workflow.project.record()["output"]
    assert (receipt["end"], receipt["remote"]["version"]) == ("verified", commit.id)
    (entry,) = workflow.project.files().values()
    labels = {label["name"]: label["value"] for label in entry["labels"]}
    assert labels == {"push": "huggingface-dataset", "push-end": "verified"}
    everything = [
        path.read_bytes() for path in workflow.project.folder.rglob("*") if path.is_file()
    ]
    assert not any(TOKEN.encode() in content for content in everything)


def test_workflow_of_a_dry_run_sends_nothing(workflow, hub):
    done = workflow.run("--config", "dry_run=true")

    assert done.returncode == 0, done.stderr
    assert workflow.project.record()["output"]["end"] == "nothing published"
    assert not hub.datasets


def test_workflow_with_a_wrong_token_fails_with_the_words_of_the_hub(workflow, hub):
    done = workflow.project.stepline(*workflow.words, HUB_TOKEN="hf_wrong-token-0123")

    assert done.returncode == 1
    assert "401: Invalid credentials in Authorization header" in done.stderr
    assert "hf_wrong-token" not in done.stdout + done.stderr + json.dumps(workflow.project.record())


STAGES = [
    (operation, CALLS[:number].count(operation), before)
    for number, operation in enumerate(CALLS)
    for before in ([True, False] if operation in WRITING else [True])
]
"""Each call of a first push, as operation and how many there were before; with those that
change something, before and after they do."""


NAME = "{0}, {1} before, held before its effect: {2}"


@pytest.fixture(scope="module")
def killed(hub_environment, stepline_cache, tmp_path_factory):
    """A workflow for each stage whose worker was killed there; four at a time, for they wait."""
    with ExitStack() as hubs, ThreadPoolExecutor(4) as pool:

        def workflow_of(stage):
            operation, nth, before = stage
            hub = HuggingFaceStandIn(accounts={"me": TOKEN})
            folder = tmp_path_factory.mktemp("killed")
            made = Workflow(Project(folder, stepline_cache), hubs.enter_context(hub))
            hold = Hold(operation, before_effect=before, after=nth, times=1)
            return made, made.run_and_kill(hold)

        yield dict(zip(STAGES, pool.map(workflow_of, STAGES), strict=True))


@pytest.mark.parametrize("stage", STAGES, ids=[NAME.format(*stage) for stage in STAGES])
def test_retry_after_a_kill_leaves_exactly_one_version(killed, stage):
    workflow, output = killed[stage]

    record = workflow.project.record()
    assert record["status"] == "completed", output
    lost, _ = record["steps"][0]["attempts"]
    assert "the worker ended in the middle of the task" in json.dumps(lost)
    (commit,) = workflow.commits()
    assert workflow.hub.blob(commit.files["weights.bin"].sha256) == WEIGHTS
    receipt = record["output"]
    assert (receipt["end"], receipt["remote"]["version"]) == ("verified", commit.id)


def test_retry_that_overtakes_its_killed_try_leaves_exactly_one_version(workflow, hub):
    hold = Hold("Commit", times=1)
    output = workflow.run_and_kill(hold, release=False)
    hold.release()  # what the killed try had sent arrives now
    assert wait_until(lambda: hub.operations.count("Commit") == 2)

    record = workflow.project.record()
    assert record["status"] == "completed", output
    (commit,) = workflow.commits()
    assert record["output"]["remote"]["version"] == commit.id
    assert [call.status for call in hub.calls if call.operation == "Commit"] == [200, 412]

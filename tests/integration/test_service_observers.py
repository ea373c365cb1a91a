"""Observers of the service learn of each workflow's end once, whatever ended it."""

import shutil
import subprocess
import zipfile

import pytest

from stepline.bootstrap import Plugins
from stepline.model.pipeline import PipelineStatus
from stepline.model.workflow import WorkflowStatus
from tests.support.services import PROTOCOL, RunningService, wait_for

SLOW = """
import time
def work(input, context):
    print("begun", flush=True)
    time.sleep(60)
"""
QUICK = "def work(input, context): return 1\n"


@pytest.fixture
def told(monkeypatch):
    """Ids and statuses that observers were told."""
    told: list[tuple[str, str]] = []

    def note(_, record):
        told.append((record["id"], record["status"]))
        return []

    monkeypatch.setattr(Plugins, "workflow_finished", note)
    return told


@pytest.fixture
def serve(tmp_path):
    """Start a service over the test's home and cache; it is stopped at the end."""
    started = []

    def serve():
        started.append(RunningService(tmp_path / "home", cache=tmp_path / "cache"))
        return started[-1]

    yield serve
    started[-1].stop()


def begun(running):
    found = running.workflows()
    log = found and running.service.workflows.log(found[0].id, step=0, attempt=1)
    return bool(log and log.lines)


def damage_protocols(running):
    """Overwrite the archives of all protocols, and remove what was unpacked of them."""
    files = [path for path in (running.home / "files").rglob("*") if holds_protocol(path)]
    assert files
    for path in files:
        path.chmod(0o600)
        path.write_bytes(b"damaged")
    cache = running.home.parent / "cache"
    subprocess.run(["chmod", "-R", "u+w", str(cache)], check=True, timeout=60)
    shutil.rmtree(cache)


def holds_protocol(path):
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "protocol.yml" in archive.namelist()


def test_workflow_whose_protocol_is_gone_is_told_once_as_failed(serve, told):
    first = serve()
    first.simple("slow", SLOW)
    first.upload()
    wait_for(lambda: begun(first))
    first.stop()
    damage_protocols(first)
    (workflow,) = serve().ended(1)
    wait_for(lambda: bool(told))
    assert told == [(workflow.id, "failed")]
    assert "is damaged" in workflow.state["error"]


def test_waiting_workflows_whose_protocol_is_gone_are_told_when_they_would_start(serve, told):
    first = serve()
    pipeline = first.simple("quick", QUICK)
    first.service.pipelines.set_status(pipeline.id, PipelineStatus.PAUSED)
    for name in ("a.txt", "b.txt"):
        first.upload(name)
    first.stop()
    damage_protocols(first)
    second = serve()
    second.service.pipelines.set_status(pipeline.id, PipelineStatus.ENABLED)
    ids = [each.id for each in second.ended(2)]
    assert told == [(each, "failed") for each in ids]


def test_workflow_that_ends_as_it_starts_is_told_once(serve, told):
    running = serve()
    running.put_script("skips", QUICK, ["work"])
    text = PROTOCOL.format(slug="skips") + "    if: $( config.wanted )\n"
    running.put_protocol(
        "skips", f"{text}config: {{wanted: {{label: Wanted, type: boolean, default: false}}}}\n"
    )
    running.pipeline("skips", config={"wanted": False})
    running.upload()
    (workflow,) = running.ended(1)
    assert workflow.status is WorkflowStatus.COMPLETED
    assert told == [(workflow.id, "completed")]


def test_workflow_that_waits_for_a_deleted_pipeline_is_told_as_cancelled(serve, told):
    running = serve()
    pipeline = running.simple("quick", QUICK)
    running.service.pipelines.set_status(pipeline.id, PipelineStatus.PAUSED)
    running.upload()
    running.service.pipelines.delete(pipeline.id)
    (workflow,) = running.ended(1)
    assert told == [(workflow.id, "cancelled")]

"""A service whose executor cannot run anything: it says so, and costs no workflow an attempt."""

import threading
import time

import pytest

from stepline.errors import PlatformError
from stepline.plugins.executor_process.executor import ProcessExecutor
from tests.support.daemons import own_daemon
from tests.support.projects import Project
from tests.support.served import Served, wait_for
from tests.support.services import RunningService

WORK = """
def work(input, context):
    return "done"
"""
LONGER_THAN_AN_ATTEMPT_S = 3


@pytest.fixture
def project(tmp_path, stepline_cache):
    """A folder for a home."""
    return Project(tmp_path, stepline_cache)


@pytest.fixture
def start(project):
    """Start services over one home; those that run at the end are ended."""
    started = []

    def start(*words, **variables):
        started.append(Served(project, *words, **variables))
        return started[-1]

    yield start
    for service in started:
        service.stop()


def attempts(served):
    """Return the ended attempts of the one workflow."""
    (found,) = served.workflows()
    (task,) = served.get(f"/workflow/{found['id']}")["tasks"]
    return task["attempts"]


def test_service_without_an_engine_says_so_and_begins_no_attempt(start, tmp_path):
    served = start()
    served.simple("work", WORK, retry="linear")
    served.stop()
    host = f"unix://{tmp_path}/none.sock"
    served = start("--executor", "docker", DOCKER_HOST=host)
    assert f"warning: no Docker Engine answers at {host}" in served.said
    health = served.health
    assert health["status"] == "degraded"
    assert f"no Docker Engine answers at {host}" in health["faults"][0]
    served.upload("a.txt", "x")
    time.sleep(LONGER_THAN_AN_ATTEMPT_S)
    assert attempts(served) == []


@pytest.mark.sandbox
def test_service_without_bubblewrap_says_so(start, tmp_path):
    (tmp_path / "bin").mkdir()
    served = start("--executor", "sandbox", PATH=str(tmp_path / "bin"))
    assert "warning: the executor 'sandbox' needs bubblewrap" in served.said
    assert served.health["status"] == "degraded"


@pytest.mark.docker
def test_service_whose_engine_goes_and_comes_loses_no_attempt(
    start, tmp_path_factory, slim_base, images_dir
):
    with own_daemon(tmp_path_factory.mktemp("dk")) as daemon:
        variables = {"DOCKER_HOST": daemon.host, "STEPLINE_IMAGES_DIR": str(images_dir)}
        served = start("--executor", "docker", **variables)
        served.simple("work", WORK, retry="linear")
        assert served.health["faults"] == []
        daemon.stop()
        served.upload("a.txt", "x")
        wait_for(lambda: served.health["status"] == "degraded")
        time.sleep(LONGER_THAN_AN_ATTEMPT_S)
        assert attempts(served) == []
        daemon.start()
        (workflow,) = served.ended(1)
        assert workflow["status"] == "completed"
        assert len(attempts(served)) == 1
        served.stop()


def test_attempt_that_finds_the_executor_gone_is_put_off_and_not_counted(tmp_path, monkeypatch):
    running = RunningService(tmp_path / "home", cache=tmp_path / "cache")
    running.simple("work", WORK)
    gone = threading.Event()
    prepare = ProcessExecutor.prepare

    def fail(*words, **named):
        gone.set()
        raise PlatformError("the engine is gone", retryable=True)

    def faults(executor, *, anew=False):
        return ["nobody answers"] if anew and gone.is_set() else []

    monkeypatch.setattr(ProcessExecutor, "prepare", fail)
    monkeypatch.setattr(ProcessExecutor, "faults", faults)
    try:
        running.upload()
        wait_for(lambda: any("waits: nobody answers" in line for line in running.reports))
        monkeypatch.setattr(ProcessExecutor, "prepare", prepare)
        (workflow,) = running.ended(1)
        assert len(running.service.workflows.details(workflow.id).attempts) == 1
    finally:
        running.stop()

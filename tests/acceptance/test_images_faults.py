"""What images need fails: clear errors that say what to do, and nothing half-made is used."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.daemons import own_daemon
from tests.support.registries import free_port
from tests.support.served import Served

pytestmark = [pytest.mark.docker, pytest.mark.debian]

NO_ENGINE = "unix:///nonexistent/docker.sock"
RUN = ("run", "protocols/p", "--input", "in.json", "--out", "results", "--executor", "docker")
WORK = "def work(i, c):\n    print('it ran')\n    return c.read_file(i['file'])['body'].decode()\n"


@pytest.fixture
def ready(imaged):
    """A project with a protocol that reads its input file."""
    imaged.task_script("s", WORK, ["work"])
    step = {"id": "work", "function": "s/work", "input": {"file": "$( workflow.inputFile )"}}
    imaged.protocol("p", [step])
    imaged.write("in.json", "{}")
    return imaged


@pytest.fixture
def serve(imaged):
    """Start a service in the project's folder."""
    made = []

    def start(**variables):
        made.append(Served(imaged, "--executor", "docker", **variables))
        return made[-1]

    yield start
    for each in made:
        assert each.stop() == 0, each.said


def test_run_without_an_engine_says_what_to_do(ready):
    failed = ready.stepline(*RUN, DOCKER_HOST=NO_ENGINE)
    assert failed.returncode == 3
    assert f"no Docker Engine answers at {NO_ENGINE}" in failed.stderr
    assert "DOCKER_HOST" in failed.stderr
    assert "it ran" not in failed.stdout + failed.stderr
    assert not (ready.folder / "results").exists()


def test_deploy_to_a_service_without_an_engine_says_what_to_do(imaged, serve):
    served = serve(DOCKER_HOST=NO_ENGINE)
    folder = imaged.task_script("s", WORK, ["work"])
    failed = imaged.stepline("put", "task-script", "private-demo", "s", "v1.0.0", folder)
    assert failed.returncode == 1
    assert f"no Docker Engine answers at {NO_ENGINE}" in failed.stdout
    assert "DOCKER_HOST" in failed.stdout
    assert served.get("/artifacts/task-scripts/private-demo/s") == []


def test_image_that_is_removed_under_a_service_is_made_again(serve, engine):
    served = serve()
    served.simple("s", WORK)
    served.upload("a.txt", "first")
    (before,) = served.ended(1)
    image = before["tasks"][0]["attempts"][0]["environment"]
    (warm,) = [each for each in engine.containers() if each.image == image]
    warm.remove()
    engine.remove_image(image)
    assert engine.image(image) is None
    served.upload("b.txt", "second")
    after = served.ended(2)[-1]
    assert after["output"] == {"type": "success", "result": "second"}
    assert [each["environment"] for each in after["tasks"][0]["attempts"]] == [image]


def test_deploy_on_an_image_of_a_registry_that_is_down_says_so(imaged, serve):
    address = f"127.0.0.1:{free_port()}"
    served = serve()
    folder = imaged.task_script("s", WORK, ["work"], image=f"{address}/own/python:v1")
    failed = imaged.stepline("put", "task-script", "private-demo", "s", "v1.0.0", folder)
    assert failed.returncode == 1
    assert f"the registry {address} cannot be reached" in failed.stdout
    assert "Hint: see whether it is up" in failed.stdout
    assert served.get("/artifacts/task-scripts/private-demo/s") == []


@pytest.fixture
def small_engine():
    """An engine on a disk that an image does not fit on, and a way to make the disk larger."""
    with tempfile.TemporaryDirectory(prefix="dk") as name:
        mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", name]
        if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("mounting a disk takes root")
        folder = Path(name, "engine")
        folder.mkdir()
        try:
            with own_daemon(folder) as daemon:
                yield daemon, ["mount", "-o", "remount,size=400m", name]
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def test_engine_whose_disk_is_full_says_so_and_uses_nothing_half(ready, small_engine):
    daemon, enlarge = small_engine
    ready.environ["DOCKER_HOST"] = daemon.host
    failed = ready.stepline(*RUN)
    assert failed.returncode == 3
    assert "the disk of the Docker Engine is full" in failed.stderr
    assert "stepline image prune" in failed.stderr
    assert "it ran" not in failed.stdout + failed.stderr
    subprocess.run(enlarge, check=True)
    passed = ready.stepline(*RUN)
    assert passed.returncode == 0, passed.stderr
    assert ready.record()["output"] == "{}"

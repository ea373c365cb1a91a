"""Acceptance checks of images, through a service whose tasks run in containers.

Each test is named after its check.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from docker import APIClient

from tests.support.engines import engine_environ
from tests.support.imaged import ImagedProject, forget_images
from tests.support.served import ENDED, Served, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.debian]

REFERENCE = Path(__file__).parents[1] / "fixtures" / "task-scripts" / "reference-push"
FILE = {"file": "$( workflow.inputFile )"}


@pytest.fixture(scope="module")
def served(tmp_path_factory, stepline_cache, all_bases, engine, images_environ):
    """A service that the tests share."""
    before = {build.image.id for build in all_bases.builds()}
    project = ImagedProject(tmp_path_factory.mktemp("service"), stepline_cache, images_environ)
    service = Served(project, "--executor", "docker", "--workers", 2)
    yield service
    assert service.stop() == 0, service.said
    forget_images(all_bases, engine, but=before)


@pytest.fixture
def docker():
    """The engine, as its own commands see it."""
    with closing(APIClient(base_url=engine_environ().get("DOCKER_HOST"))) as client:
        yield client


def put(served, folder, slug, version="v1.0.0"):
    """Deploy with the words of the reference."""
    auth = served.home / "auth.json"
    words = ("task-script", "private-demo", slug, version, folder, "-c", auth)
    return served.project.stepline("put", *words)


def workflows_of(served, pipeline):
    return [each for each in served.workflows() if each["pipelineName"] == pipeline]


def ended(served, pipeline):
    """Wait until the workflow of a pipeline has ended; return its task."""
    wait_for(lambda: {each["status"] for each in workflows_of(served, pipeline)} & {*ENDED})
    (workflow,) = workflows_of(served, pipeline)
    return served.get(f"/workflow/{workflow['id']}")["tasks"][0]


@pytest.mark.kaggle
def test_3_01_put_with_the_references_words_builds_an_image_and_lists_it(served, all_bases):
    deployed = put(served, REFERENCE, "reference-push")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    listed = served.run("artifact", "list")
    assert "task-script  private-demo/reference-push:v1.0.0" in listed
    (artifact,) = served.get("/artifacts/task-scripts/private-demo/reference-push")
    (build,) = [each for each in all_bases.builds() if each.script == artifact["hash"]]
    assert f"the environment {build.image.id} is ready" in deployed.stdout
    packages = {(each.system, each.name) for each in all_bases.software(build.image)}
    assert {("pypi", "kaggle"), ("pypi", "six")} <= packages


def test_3_10_a_function_that_the_image_cannot_import_fails_the_deploy(served):
    main = "import pytest\ndef work(i, c): return 1\n"  # which this machine has
    refused = put(served, served.project.task_script("imports", main, ["work"]), "imports")
    assert refused.returncode == 1
    assert "the function 'work' (main.work) cannot be imported" in refused.stdout
    assert "No module named 'pytest'" in refused.stdout
    assert served.get("/artifacts/task-scripts/private-demo/imports") == []


SECRET_MAIN = """
import hashlib, time
def work(i, c):
    value = c.resolve_secret(i["key"])
    print("it has it", flush=True)
    time.sleep(1.5)
    return hashlib.sha256(value.encode()).hexdigest()
"""


def test_3_14_a_secret_is_nowhere_but_in_the_function(served, all_bases, docker):
    secret = f"hidden-{os.urandom(12).hex()}"
    set_secret(served, "secret-key", secret)
    served.put_script("secret", SECRET_MAIN, ["work"])
    step = {"id": "work", "function": "secret/work", "input": {"key": "$( config.key )"}}
    key = {"label": "Key", "type": "secret", "required": True}
    served.put_protocol("secret", [step], config={"key": key})
    served.pipeline(
        "secret", config={"key": {"secret": "secret-key"}}, trigger="fileName is secret.txt"
    )
    served.upload("secret.txt", "x")
    wait_for(lambda: any("it has it" in line for line in log_of(served, "secret")))
    seen = [*shown_by_engine(docker), *shown_by_kernel()]
    task = ended(served, "secret")
    assert task["output"]["result"] == hashlib.sha256(secret.encode()).hexdigest()
    build = all_bases.get(task["attempts"][0]["environment"])
    seen += [build.image.config.encode(), *map(read, map(all_bases.layer, build.image.layers))]
    seen += [json.dumps(task).encode(), *map(read, served.project.folder.rglob("*"))]
    assert task["input"]["key"]["secret"] is True
    assert b"worker.sock" in b"".join(seen)
    assert secret.encode() not in b"".join(seen)


def set_secret(served, name, value):
    """Give a secret on standard input, as a script does."""
    command = served.project.command("secret", "set", name)
    folder, environ = served.project.folder, served.project.environ
    subprocess.run(command, cwd=folder, env=environ, input=value, text=True, check=True, timeout=60)


def log_of(served, pipeline):
    found = workflows_of(served, pipeline)
    return served.log(found[-1]["id"]) if found else []


def shown_by_engine(docker):
    """Give what the engine tells of containers, their images and how these were made."""
    for container in docker.containers():
        yield json.dumps(docker.inspect_container(container["Id"])).encode()
        yield json.dumps(docker.inspect_image(container["ImageID"])).encode()
        yield json.dumps(docker.history(container["ImageID"])).encode()


def shown_by_kernel():
    """Give the environments and command lines of all processes, those in containers too."""
    for name in ("cmdline", "environ"):
        yield from map(read, Path("/proc").glob(f"[0-9]*/{name}"))


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_2_08_pipelines_of_different_versions_at_once_run_each_its_own(served):
    main = (
        "import sys, time\ndef work(i, c):\n    time.sleep(2)\n    return {!r}, sys.version[:4]\n"
    )
    for number, runtime in (("1", "python3.9"), ("2", "python3.13")):
        text = main.format(f"version {number}")
        folder = served.project.task_script("two", text, ["work"], runtime=runtime)
        assert put(served, folder, "two", f"v{number}.0.0").returncode == 0
        task = {"namespace": "private-demo", "slug": "two", "version": f"v{number}.0.0"}
        step = {"id": "work", "task": {**task, "function": "work"}, "input": {}}
        document = json.dumps({"protocolSchema": "v3", "steps": [step]})
        folder = served.project.write(f"protocols/two-{number}/protocol.yml", document).parent
        served.run("put", "protocol", "private-demo", f"two-{number}", "v1.0.0", folder)
        served.pipeline(f"two-{number}", trigger="fileName is two.txt")
    served.upload("two.txt", "x")
    one, two = (ended(served, f"two-{number}") for number in "12")
    assert one["output"]["result"] == ["version 1", "3.9."]
    assert two["output"]["result"] == ["version 2", "3.13"]
    first, second = (task["attempts"][0] for task in (one, two))
    assert first["environment"] != second["environment"]
    assert abs(first["startedAt"] - second["startedAt"]) < 2  # so both ran at once

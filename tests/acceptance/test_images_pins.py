"""What a workflow was pinned to it keeps, whatever becomes of tags, bases and versions.

Each test is named after its check.
"""

from __future__ import annotations

import json
import os

import pytest

from stepline.model.image import BaseVariant
from tests.support.imaged import Publisher, own_images_dir, put_newer_base
from tests.support.served import Served

pytestmark = [pytest.mark.docker, pytest.mark.debian]

READS = """
import os
def variant():
    if os.path.exists("/variant"):
        with open("/variant") as file:
            return file.read()
    return "none"
"""
TELLS = f"{READS}def work(i, c): return variant()\n"
FAILS = f"""{READS}
def work(i, c):
    raise ValueError("%s, %s" % (variant(), c.read_file(i["file"])["body"].decode()))
"""
STEP = {"id": "work", "function": "s/work", "input": {"file": "$( workflow.inputFile )"}}


@pytest.fixture
def pinned(imaged, slim_base, images_dir, tmp_path):
    """A project with images of its own."""
    imaged.environ["STEPLINE_IMAGES_DIR"] = str(own_images_dir(images_dir, tmp_path / "images"))
    imaged.base = slim_base.base("3.11", BaseVariant.SLIM, tell=lambda line: None)
    imaged.images = tmp_path / "images"
    return imaged


@pytest.fixture
def serve(pinned):
    """Start services in the project's folder, one after another."""
    made = []

    def start():
        made.append(Served(pinned, "--executor", "docker"))
        return made[-1]

    yield start
    for each in made:
        each.stop()


def build_next(pinned):
    """Build the image of another task script; return what it is made of."""
    folder = pinned.task_script("other", TELLS, ["work"])
    shown = pinned.stepline("image", "build", folder, "--json")
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)["base"]


def put(served, folder, version, *words):
    served.run("put", "task-script", "private-demo", "s", version, folder, *words)


@pytest.mark.registry
def test_2_07_the_digest_is_recorded_and_stays_when_the_tag_moves(pinned, serve, engine, registry):
    publisher = Publisher(engine, pinned.base, pinned.images)
    tag = f"{registry}/own-{os.urandom(4).hex()}/python:v1"
    digest = publisher.publish(tag, "one")
    served = serve()
    put_with_pipeline(served, "v1.0.0", image=tag)
    assert publisher.publish(tag, "two") != digest
    put_with_pipeline(served, "v1.1.0", image=tag)
    put_with_pipeline(served, "v1.2.0", image=digest)
    served.upload("a.txt", "x")
    found = sorted(served.ended(3), key=lambda each: each["pipelineName"])
    assert [each["output"]["result"] for each in found] == ["one", "two", "one"]
    used = found[0]["tasks"][0]["attempts"][0]["environment"]
    shown = pinned.stepline("image", "inspect", used, "--json")
    assert json.loads(shown.stdout)["baseSource"] == digest


def put_with_pipeline(served, version, *, image):
    """Publish a version on an image, and a pipeline that is pinned to it."""
    put(
        served,
        served.project.task_script("s", f"# {version}\n{TELLS}", ["work"], image=image),
        version,
    )
    task = {"namespace": "private-demo", "slug": "s", "version": version, "function": "work"}
    protocol = {"protocolSchema": "v3", "steps": [{"id": "work", "task": task, "input": {}}]}
    slug = version.replace(".", "-")
    served.project.write(f"protocols/{slug}/protocol.yml", json.dumps(protocol))
    folder = served.project.folder / "protocols" / slug
    served.run("put", "protocol", "private-demo", slug, "v1.0.0", folder)
    served.pipeline(slug)


def test_3_28_retry_in_a_service_uses_image_and_input_of_the_failed_run(pinned, serve):
    served = serve()
    served.simple("s", FAILS)
    first = served.upload("a.txt", "first")
    (failed,) = served.ended(1)
    (attempt,) = failed["tasks"][0]["attempts"]
    assert attempt["message"] == "none, first"
    assert 'File "func/main.py"' in attempt["traceback"]
    put_newer_base(pinned.images, pinned.base, "newer")
    base = json.loads(pinned.stepline("image", "inspect", attempt["environment"], "--json").stdout)
    assert build_next(pinned) != base["base"]
    put(
        served,
        pinned.task_script("s", "def work(i, c): return 'other'\n", ["work"]),
        "v1.0.0",
        "-f",
    )
    served.run("pipeline", "disable", "s")
    served.upload("a.txt", "second")
    assert served.stop() == 0
    served = serve()
    served.run("workflow", "retry", failed["id"])
    (again,) = served.ended(1)
    retried = again["tasks"][0]["attempts"][-1]
    assert [each["attempt"] for each in again["tasks"][0]["attempts"]] == [1, 2]
    kept = ("message", "environment", "reads")
    assert [retried[key] for key in kept] == [attempt[key] for key in kept]
    assert again["tasks"][0]["input"]["file"]["version"] == failed["inputFile"]["version"]
    assert first["file"]["version"] == failed["inputFile"]["version"]


def test_3_28_retry_of_a_run_uses_the_image_that_failed(pinned):
    pinned.task_script("s", FAILS, ["work"])
    pinned.protocol("p", [STEP])
    pinned.write("in.txt", "first")
    words = ("run", "protocols/p", "--executor", "docker", "--out", "results")
    assert pinned.stepline(*words, "--input", "in.txt").returncode == 1
    put_newer_base(pinned.images, pinned.base, "newer")
    build_next(pinned)
    assert pinned.stepline(*words, "--retry").returncode == 1
    first, second = pinned.record()["steps"][0]["attempts"]
    assert first["message"] == second["message"] == "none, first"
    assert first["environment"] == second["environment"]
    assert first["environment"].startswith("sha256:")

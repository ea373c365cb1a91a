"""Images of published versions: kept where one is in use, and never replaced without a word."""

from __future__ import annotations

import json

import pytest

from tests.support.imaged import own_images_dir
from tests.support.served import Served

pytestmark = [pytest.mark.docker, pytest.mark.debian]

HOOK = "date +%s.%N > stamp.txt\n"
WORK = "def work(i, c): return open('func/stamp.txt').read()\n"
RUN = ("run", "protocols/p", "--executor", "docker", "--out", "results")


@pytest.fixture
def dated(imaged, hook_base, images_dir, tmp_path):
    """A project with images of its own, and a hook that makes another one each time."""
    imaged.environ["STEPLINE_IMAGES_DIR"] = str(own_images_dir(images_dir, tmp_path / "images"))
    imaged.write("task-scripts/s/init/before_install", HOOK)
    return imaged


@pytest.fixture
def serve(dated):
    """Start services in the project's folder, one after another."""
    made = []

    def start():
        made.append(Served(dated, "--executor", "docker"))
        return made[-1]

    yield start
    for each in made:
        each.stop()


def upload(served, count):
    """Have another workflow run to its end, and return it."""
    served.upload(f"{count}.txt", str(count))
    return served.ended(count)[-1]


def pruned(project, *words):
    """Prune; return what is kept, and why, by image."""
    shown = project.stepline("image", "prune", "--json", *words)
    assert shown.returncode == 0, shown.stderr
    return {each["id"]: each["kept"] for each in json.loads(shown.stdout)["images"]}


def environment(workflow, part="tasks"):
    return workflow[part][0]["attempts"][-1]["environment"]


def test_image_of_a_published_version_is_replaced_only_by_publishing_it_again(dated, serve):
    served = serve()
    served.simple("s", WORK)
    first = environment(upload(served, 1))
    assert pruned(dated) == {first: "published"}
    assert served.stop() == 0
    assert pruned(dated, "--no-service") == {first: ""}
    served = serve()
    refused = upload(served, 2)
    assert refused["status"] == "failed"
    assert f"the image {first} that private-demo/s:v1.0.0 was given is gone" in json.dumps(refused)
    script = dated.folder / "task-scripts" / "s"
    served.run("put", "task-script", "private-demo", "s", "v1.0.0", script, "-f")
    again = upload(served, 3)
    assert again["status"] == "completed"
    assert environment(again) != first
    assert set(pruned(dated)) == {environment(again)}


@pytest.fixture
def failed(dated):
    """A project whose run has failed, and whose image is removed since; and the image's id."""
    dated.task_script("s", "def work(i, c): raise ValueError(i)\n", ["work"])
    dated.protocol("p", [{"id": "work", "function": "s/work", "input": {}}])
    dated.write("in.txt", "first")
    assert dated.stepline(*RUN, "--input", "in.txt").returncode == 1
    image = environment(dated.record(), "steps")
    assert pruned(dated, "--no-service") == {image: ""}
    return dated, image


def test_image_that_is_gone_is_made_anew_by_a_run_and_not_by_a_retry(failed):
    project, image = failed
    refused = project.stepline(*RUN, "--retry")
    assert refused.returncode == 2
    assert f"the image {image} that " in refused.stderr
    assert "is gone, and made again it would be sha256:" in refused.stderr
    assert project.stepline(*RUN, "--input", "in.txt").returncode == 1
    assert environment(project.record(), "steps") != image


def test_image_build_makes_an_image_that_is_gone_anew(failed):
    project, image = failed
    made = project.stepline("image", "build", "task-scripts/s", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["id"] != image

"""Acceptance checks of images, on single runs in containers.

Each test is named after its check.
"""

from __future__ import annotations

import json
import re

import pytest

from stepline.plugins.images_local.trees import read_layers
from tests.support.engines import SUITES
from tests.support.registries import free_port
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.docker, pytest.mark.debian]

RUN = ("run", "protocols/p", "--input", "in.json", "--out", "results", "--executor", "docker")
BUILD_TOOLS = re.compile(
    r"(.*/)?s?bin/(apt|dpkg|pip|poetry|uv|uvx|gcc|g\+\+|cc|make|curl|wget|git)[^/]*"
    r"|(.*/)?(pip|uv|poetry|setuptools|wheel)(-[\d.]+\.dist-info)?/.*"
    r"|var/lib/apt/lists/.+|var/cache/apt/.+|(.*/)?\.cache/.+|(.*/)?(pip\.conf|uv\.toml)"
    r"|(.*/)?\.git/.*"
)


@pytest.fixture
def ready(imaged):
    """A project with a protocol that calls ``f`` of the task script ``s``."""
    imaged.protocol("p", [{"id": "a", "function": "s/f"}])
    imaged.write("in.json", "{}")
    return imaged


@pytest.mark.parametrize("runtime", SUITES)
def test_3_06_a_function_sees_the_python_that_it_asks_for(ready, all_bases, runtime):
    main = (
        "import os, sys\ndef f(i, c): return [sys.version_info[:2], os.listdir('/opt/stepline')]\n"
    )
    ready.task_script("s", main, ["f"], runtime=f"python{runtime}")
    ran = ready.stepline(*RUN)
    assert ran.returncode == 0, ran.stderr
    seen, folders = ready.record()["output"]
    assert ".".join(map(str, seen)) == runtime
    assert "script" in folders


def test_3_06_a_python_that_cannot_be_had_is_refused_before_any_work(ready):
    ready.task_script("s", "def f(i, c): print('it ran')\n", ["f"])
    ready.task_script("t", "def f(i, c): pass\n", ["f"], runtime="python3.8")
    ready.protocol("p", [{"id": "a", "function": "s/f"}, {"id": "b", "function": "t/f"}])
    nowhere = json.dumps({"3.8": f"127.0.0.1:{free_port()}/python:3.8"})
    refused = ready.stepline(*RUN, STEPLINE_BASES=nowhere)
    assert refused.returncode == 3
    assert "there is no base image of python3.8 here" in refused.stderr
    assert "here are bases of: " in refused.stderr
    assert "3.11" in refused.stderr.partition("here are bases of: ")[2]
    assert "it ran" not in refused.stdout + refused.stderr
    assert not (ready.folder / "results").exists()


def test_4_04_an_image_has_no_tool_of_its_build_and_imports_everything(ready, hook_base):
    main = "import plates, wells\ndef f(i, c): return [plates.VERSION, wells.VERSION]\n"
    folder = ready.task_script(
        "s", main, ["f"], requirements="--no-index\n--find-links dependencies\nplates\n"
    )
    make_wheel(folder / "dependencies", "plates")
    wheel = make_wheel(folder / "dependencies", "wells")
    hook = f"set -e\npip install --no-index dependencies/{wheel.name}\nmkdir -p /root/.cache/pip\n"
    ready.write("task-scripts/s/init/before_install", hook)
    ran = ready.stepline(*RUN)
    assert ran.returncode == 0, ran.stderr
    assert ready.record()["output"] == ["1.0", "1.0"]
    image = hook_base.get(ready.record()["steps"][0]["attempts"][0]["environment"]).image
    tree = read_layers([hook_base.layer(layer) for layer in image.layers])
    assert [path for path in tree if BUILD_TOOLS.fullmatch(path)] == []
    assert f"{image.site}/plates.py".lstrip("/") in tree

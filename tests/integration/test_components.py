"""Components that are installed from source: built, labelled, and named where they conflict."""

import http.server
import json
import os
import threading
from functools import partial

import pytest

from stepline.app.images.holding import hold
from stepline.errors import ConfigError
from stepline.model.image import LayerKind
from stepline.plugins.images_local.components import Component, Components, folder_digest
from stepline.plugins.images_local.conflicts import refuse_unlocked
from stepline.plugins.images_local.locking import lock_requirements
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.wheels import Place
from stepline.ports.engine import ContainerSpec
from tests.support.images import local_images, put_base, script_version
from tests.support.wheels import make_wheel

PROJECT = """
[project]
name = "{name}"
version = "1.{number}"
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
"""
NAMES = ("parser_x", "models_x", "core_x")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, *words):
        """Say nothing."""


@pytest.fixture(scope="module")
def environ(tmp_path_factory):
    """Environment of a platform with a package index of the tests' own."""
    folder = tmp_path_factory.mktemp("index")
    for name, version, requires in (
        ("num", "1.0", ()),
        ("num", "2.0", ()),
        ("mid", "1.0", ("num<2",)),
        ("top", "1.0", ("mid",)),
    ):
        make_wheel(folder / "simple" / name, name, version=version, requires=requires)
    serve = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        index = f"http://127.0.0.1:{server.server_port}/simple"
        yield {"PATH": os.environ["PATH"], "UV_DEFAULT_INDEX": index, "UV_NO_CACHE": "1"}
        server.shutdown()


@pytest.fixture
def component(tmp_path):
    """Makes a component that requires something."""

    def make(name, *requires):
        wheel = make_wheel(tmp_path / "wheels", name, requires=requires)
        return Component(
            folder=f"components/{name}", name=name, version="1.0", source="sha256:0", wheel=wheel
        )

    return make


def lock(folder, environ, *components, requirements=""):
    folder.joinpath("requirements.txt").write_text(requirements)
    return lock_requirements(folder, runtime="3.11", environ=environ, components=components)


def test_lock_has_what_components_require_and_not_themselves(tmp_path, environ, component):
    text = lock(tmp_path, environ, component("parser", "num<2"), component("deep", "top"))
    assert [line.split()[0] for line in text.splitlines() if line[0] != " "] == [
        "mid==1.0",
        "num==1.0",
        "top==1.0",
    ]


CONFLICTS = {
    "both directly": (
        [("parser", "num<2"), ("models", "num>=2")],
        "",
        [
            "the component components/parser (parser 1.0) needs num<2",
            "the component components/models (models 1.0) needs num>=2",
        ],
    ),
    "one by others": (
        [("deep", "top"), ("models", "num>=2")],
        "",
        ["the component components/deep (deep 1.0) needs num<2 by ", "(models 1.0) needs num>=2"],
    ),
    "with requirements.txt": (
        [("deep", "top")],
        "num>=2\n",
        ["the component components/deep (deep 1.0) needs num<2", "requirements.txt needs num>=2"],
    ),
}


@pytest.mark.parametrize(("made", "own", "words"), CONFLICTS.values(), ids=CONFLICTS)
def test_2_10_components_that_conflict_are_named_with_the_package(
    tmp_path, environ, component, made, own, words
):
    with pytest.raises(ConfigError, match="no version of num suits all of them") as caught:
        lock(tmp_path, environ, *(component(*each) for each in made), requirements=own)
    assert [each for each in words if each not in caught.value.what] == []
    assert str(caught.value.where) == "config.json"
    assert "num" in caught.value.hint


def test_2_10_components_that_need_what_a_lock_lacks_are_named(component):
    known = "num==1.0 \\\n    --hash=sha256:00\n"
    parser = component("parser", "num", "mid")
    with pytest.raises(ConfigError, match="components/parser require: mid") as caught:
        refuse_unlocked(known + "mid==1.0\n", lock=known, components=[parser])
    assert "image.groups" in caught.value.hint


def test_folder_digest_is_of_names_contents_and_rights(tmp_path):
    digests = set()
    for name, content, mode in (
        ("a", "1", 0o644),
        ("b", "1", 0o644),
        ("a", "2", 0o644),
        ("a", "1", 0o755),
    ):
        folder = tmp_path / f"{name}{content}{mode}"
        folder.mkdir()
        folder.joinpath(name).write_text(content)
        folder.joinpath(name).chmod(mode)
        digests.add(folder_digest(folder))
    assert len(digests) == 4


@pytest.mark.parametrize("spoil", [b"", b"PK"], ids=["empty", "torn"])
def test_component_whose_wheel_is_not_whole_is_built_again(tmp_path, spoil):
    folder = tmp_path / "script" / "parser"
    folder.mkdir(parents=True)
    folder.joinpath("pyproject.toml").write_text(PROJECT.format(name="parser", number=0))
    components = Components(
        LayerStore(tmp_path / "images"),
        Place(runtime="3.11", python="/usr/bin/python3", site="/usr/lib/python3"),
        build_wheels=lambda names, target, _: make_wheel(target, "parser"),
        tell=lambda line: None,
    )
    (first,) = components.wheels(folder.parent, ["parser"])
    first.wheel.write_bytes(spoil)
    (second,) = components.wheels(folder.parent, ["parser"])
    assert second == first
    assert len(second.wheel.read_bytes()) > len(spoil)


def put_components(folder):
    for number, name in enumerate(NAMES):
        home = folder / "components" / name
        home.joinpath(name).mkdir(parents=True)
        home.joinpath(name, "__init__.py").write_text(f"SEED = {os.urandom(4).hex()!r}\n")
        home.joinpath("pyproject.toml").write_text(PROJECT.format(name=name, number=number))
    folder.joinpath("main.py").write_text("def f(input, context): return {}\n")
    folder.joinpath("requirements.txt").touch()
    return tuple(f"components/{name}" for name in NAMES)


@pytest.mark.docker
@pytest.mark.debian
@pytest.mark.slow
def test_2_01_components_are_all_in_one_image_and_on_its_label(tmp_path, hook_base, engine):
    """Row 2-01."""
    names = put_components(tmp_path)
    image = hook_base.build(script_version(tmp_path, components=names), tell=print)
    label = json.loads(json.loads(image.config)["config"]["Labels"]["org.stepline.components"])
    assert label == {
        name.replace("_", "-"): f"1.{number} {folder_digest(tmp_path / 'components' / name)}"
        for number, name in enumerate(NAMES)
    }
    hold(image, images=hook_base, engine=engine)
    imports = f"import {', '.join(NAMES)}; print('all here')"
    container = engine.start(
        ContainerSpec(image=image.id, command=[image.python, "-c", imports], owner="test")
    )
    container.wait(timeout_s=60)
    assert "all here" in container.output()
    container.remove()
    tmp_path.joinpath("components/core_x/core_x/new.py").write_text("")
    again = hook_base.build(script_version(tmp_path, components=names), tell=print)
    kept = [layer for layer in again.layers if layer in image.layers]
    assert [layer.kind for layer in kept].count(LayerKind.COMPONENT) == 2


@pytest.mark.parametrize(
    ("name", "what"),
    [("components/none", "there is no folder"), ("components", "has neither pyproject.toml")],
)
def test_component_that_is_no_project_is_refused(tmp_path, name, what):
    (tmp_path / "script").mkdir()
    put_components(tmp_path / "script")
    put_base(tmp_path / "images")
    version = script_version(tmp_path / "script", components=(name,))
    with pytest.raises(ConfigError, match=what):
        local_images(tmp_path / "images").build(version, tell=print)

"""Images that authors name in place of a base: taken by digest, or refused with a reason."""

import json
import os
from dataclasses import replace

import pytest

from stepline.errors import ConfigError, SteplineError, UserError
from stepline.model.image import BaseVariant
from stepline.plugins.images_local.archive import write_archive
from stepline.plugins.images_local.configs import canonical, image_id
from stepline.plugins.images_local.images import LocalImages
from stepline.ports.images import ImageOptions
from tests.support.images import script_version

pytestmark = [pytest.mark.docker, pytest.mark.registry]


@pytest.fixture
def script(tmp_path):
    """A task script without requirements."""
    folder = tmp_path / "script"
    folder.mkdir()
    (folder / "main.py").write_text("def f(input, context):\n    return 1\n")
    return folder


@pytest.fixture
def machine(tmp_path, engine):
    """Images of a machine that has no base, but an engine."""
    options = ImageOptions(
        folder=tmp_path / "images",
        bases={},
        engine=lambda: engine,
        credential=lambda reference: None,
    )
    return LocalImages(options, dict(os.environ))


@pytest.fixture
def publish(slim_base, engine, registry, tmp_path):
    """Puts an image into the registry, made of the base with other words in its config."""
    base = slim_base.base("3.11", BaseVariant.SLIM, tell=lambda line: None).image
    made = set()

    def push(name, *, layers=base.layers, architecture="amd64", **config):
        plain = json.loads(base.config)
        plain["architecture"] = architecture
        plain["config"] = {key: value for key, value in config.items() if value}
        plain["rootfs"]["diff_ids"] = [layer.digest for layer in layers]
        plain["history"] = plain["history"][: len(layers)]
        text = canonical(plain)
        image = replace(base, id=image_id(text), config=text, layers=tuple(layers))
        engine.load([layer.digest for layer in layers], writer(slim_base, image))
        reference = f"{registry}/own-images/{name}:v1"
        engine.tag(image.id, reference)
        made.add(image.id)
        digest = engine.push(image.id, reference, credential=None)
        return reference, f"{reference.rpartition(':')[0]}@{digest}"

    yield push
    for each in made:
        if engine.image(each) is not None:
            engine.remove_image(each)


def writer(images, image):
    def write(file, without):
        write_archive(image, file, path=images.layer, without=without)

    return write


def build(machine, script, reference, **choices):
    version = script_version(script, reference=reference, **choices)
    return machine.build(version, tell=lambda line: None)


def test_2_07_own_image_is_the_base_and_is_recorded_by_digest(machine, script, publish):
    tag, pinned = publish("good", Cmd=["serve"], WorkingDir="/app", Env=["KEPT=yes"])
    image = build(machine, script, tag)
    config = json.loads(image.config)["config"]
    assert config["Cmd"] == ["serve"]
    assert config["WorkingDir"] == "/app"
    assert "KEPT=yes" in config["Env"]
    assert image.python == "/usr/bin/python3.11"
    assert machine.get(image.id).base_source == pinned


def test_2_07_own_image_stays_when_its_tag_moves(machine, script, publish):
    tag, _ = publish("moving", Cmd=["first"])
    first = build(machine, script, tag)
    publish("moving", Cmd=["second"])
    assert build(machine, script, tag) == first
    (script / "main.py").write_text("changed = True\n")
    assert json.loads(build(machine, script, tag).config)["config"]["Cmd"] == ["second"]


def test_0_08_own_image_for_another_platform_is_refused_naming_both(machine, script, publish):
    tag, _ = publish("other", architecture="arm64", Cmd=["serve"])
    with pytest.raises(UserError, match=r"linux/arm64.*linux/amd64"):
        build(machine, script, tag)


def test_0_09_own_image_without_a_command_is_refused(machine, script, publish):
    tag, _ = publish("silent")
    with pytest.raises(ConfigError, match="has no command") as caught:
        build(machine, script, tag)
    assert caught.value.where.path == "config.json"
    assert "command" in caught.value.hint


def test_0_09_own_image_without_a_command_runs_that_of_config_json(machine, script, publish):
    tag, _ = publish("silent")
    image = build(machine, script, tag, command=("python3", "main.py"))
    assert json.loads(image.config)["config"]["Cmd"] == ["python3", "main.py"]


def test_own_image_without_the_python_that_is_asked_for_is_refused(machine, script, publish):
    tag, _ = publish("good", Cmd=["serve"])
    version = script_version(script, reference=tag, runtime="3.9")
    version = replace(version, script=replace(version.script, runtime="3.9"))
    with pytest.raises(UserError, match=r"has python3\.11, and the runtime is python3\.9"):
        machine.build(version, tell=lambda line: None)


def test_own_image_that_no_registry_has_is_refused(machine, script, registry):
    with pytest.raises(SteplineError, match="own-images/missing") as caught:
        build(machine, script, f"{registry}/own-images/missing:v1")
    assert caught.value.hint

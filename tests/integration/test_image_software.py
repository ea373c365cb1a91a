"""What is in an image, told from the image itself: software, and files with their hashes."""

import json
import os
import shutil

import pytest

from stepline.model.image import BaseVariant
from stepline.plugins.images_local.software import read_files
from tests.support.images import local_images, script_version
from tests.support.wheels import make_wheel

pytestmark = pytest.mark.debian


@pytest.fixture
def script(tmp_path):
    """A task script that brings the package it requires."""
    folder = tmp_path / "script"
    make_wheel(folder / "dependencies", "plates")
    (folder / "main.py").write_text("from plates import VERSION\n")
    (folder / "requirements.txt").write_text("--no-index\n--find-links dependencies\nplates\n")
    return folder


@pytest.fixture
def base(slim_base):
    """The newest slim base of Python 3.11."""
    return slim_base.base("3.11", BaseVariant.SLIM, tell=lambda line: None)


@pytest.fixture
def machine(base, slim_base, images_dir, tmp_path):
    """Makes another machine, to which only the base was carried."""

    def machine(name):
        notes, layers = tmp_path / name / "notes" / "bases", tmp_path / name / "layers"
        notes.mkdir(parents=True), layers.mkdir()
        shutil.copy(images_dir / "notes" / "bases" / f"{base.image.id[7:]}-slim.json", notes)
        for layer in base.image.layers:
            os.symlink(
                images_dir / "layers" / f"{layer.digest[7:]}.tar",
                layers / f"{layer.digest[7:]}.tar",
            )
        return local_images(tmp_path / name)

    return machine


def build(images, script):
    return images.build(script_version(script), tell=lambda line: None)


def files_of(images, image):
    return read_files([images.layer(layer) for layer in image.layers])


def test_2_22_image_lists_its_debian_and_python_packages(machine, script):
    """Acceptance 2-22."""
    images = machine("here")
    image = build(images, script)
    found = {(each.system, each.name): each.version for each in images.software(image)}
    assert found["pypi", "plates"] == "1.0"
    assert found["deb", "python3.11-minimal"].startswith("3.11.")
    assert ("deb", "dpkg") not in found
    pytest.importorskip("cyclonedx")
    components = json.loads(images.sbom(image))["components"]
    named = {
        (each["purl"][4:].partition("/")[0], each["name"]): each["version"] for each in components
    }
    assert named == found


def test_4_05_image_built_on_another_machine_is_equal_file_by_file(machine, script, tmp_path):
    """Acceptance 4-05."""
    copy = shutil.copytree(script, tmp_path / "elsewhere" / "copy")
    here, there = machine("here"), machine("there")
    one, other = build(here, script), build(there, copy)
    files = files_of(here, one)
    assert files == files_of(there, other)
    assert here.software(one) == there.software(other)
    assert one == other
    assert "opt/stepline/script/main.py" in files


def test_image_with_another_file_differs_in_that_file_alone(machine, script):
    images = machine("here")
    before = files_of(images, build(images, script))
    (script / "main.py").write_text("import plates\n")
    after = files_of(images, build(images, script))
    assert {path for path in before if before[path] != after[path]} == {
        "opt/stepline/script/main.py"
    }
    assert before.keys() == after.keys()

"""Images of task scripts: made once, the same everywhere, never half.

The base is a file, so that nothing but the assembly is tried; tests that carry the marker
``docker`` take a real base and run what came of it.
"""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stepline.errors import ConfigError, PlatformError, UserError
from stepline.model.image import LayerKind
from stepline.model.task import Limits, Network
from stepline.ports.engine import ContainerSpec
from tests.support.images import local_images, put_base, script_version
from tests.support.wheels import make_wheel

ROOT = Path(__file__).parents[2]
BUILD = """
import sys, time
from pathlib import Path
from tests.support.images import local_images, script_version

def tell(line):
    print(line, flush=True)
    if "installing" in line and "wait" in sys.argv:
        time.sleep(60)

image = local_images(Path(sys.argv[1])).build(script_version(Path(sys.argv[2])), tell=tell)
print(image.id)
"""


@pytest.fixture
def script(tmp_path):
    """A task script that requires a package which it brings."""
    return new_script(tmp_path / "script")


@pytest.fixture
def folder(tmp_path):
    """A folder of images with one base."""
    put_base(tmp_path / "images")
    return tmp_path / "images"


def new_script(folder):
    make_wheel(folder / "dependencies", "plates")
    (folder / "main.py").write_text("from plates import VERSION\n")
    (folder / "requirements.txt").write_text("--no-index\n--find-links dependencies\nplates\n")
    return folder


def build(folder, script, *, said=None, **choices):
    tell = (lambda line: None) if said is None else said.append
    return local_images(folder).build(script_version(script, **choices), tell=tell)


def start(folder, script, *further):
    command = [sys.executable, "-c", BUILD, str(folder), str(script), *further]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def kinds(image):
    return [layer.kind for layer in image.layers]


def test_image_has_a_layer_for_each_thing_that_changes_by_itself(folder, script):
    assert kinds(build(folder, script)) == [
        LayerKind.BASE,
        LayerKind.REQUIREMENTS,
        LayerKind.CODE,
    ]


def test_4_05_image_is_the_same_on_another_machine(folder, script, tmp_path):
    put_base(tmp_path / "other images")
    other = new_script(tmp_path / "another place" / "script")
    for path in other.rglob("*"):
        os.utime(path, (1, 1))
    first, second = build(folder, script), build(tmp_path / "other images", other)
    assert second == first


def test_2_15_unchanged_script_is_found_at_once(folder, script):
    first, said, times = build(folder, script), [], []
    for _ in range(5):
        began = time.monotonic()
        assert build(folder, script, said=said) == first
        times.append(time.monotonic() - began)
    assert min(times) < 0.1  # the others may have waited for their turn on a busy machine
    assert said == []


def test_2_15_changed_code_leaves_the_layers_below_as_they_are(folder, script):
    first = build(folder, script)
    (script / "main.py").write_text("changed = True\n")
    began = time.monotonic()
    second = build(folder, script)
    assert time.monotonic() - began < 0.5
    assert second.layers[:-1] == first.layers[:-1]
    assert second.id != first.id


def test_script_keeps_its_image_when_the_base_changes(folder, script):
    first = build(folder, script)
    newer = put_base(folder, "a newer base")
    assert build(folder, script) == first
    (script / "main.py").write_text("changed = True\n")
    assert build(folder, script).layers[0] == newer.image.layers[0]


def test_record_says_what_is_in_the_image(folder, script):
    image = build(folder, script)
    record = local_images(folder).get(image.id)
    assert record.image == image
    assert record.script == script_version(script).digest
    assert record.lock.startswith("plates==1.0 \\\n    --hash=sha256:")
    assert record.base_source == "debian:test"
    assert local_images(folder).builds() == [record]


def test_program_of_the_author_may_not_be_run(folder, script, tmp_path):
    (script / "main.py").chmod(0o755)
    image = build(folder, script)
    root = local_images(folder).root(image)
    assert (root / "opt/stepline/script/main.py").stat().st_mode & 0o777 == 0o644


def test_2_14_image_that_is_too_large_names_its_largest_layers(folder, script):
    (script / "data.bin").write_bytes(bytes(2_000_000))
    with pytest.raises(ConfigError, match=r"largest layers: code 2\.0 MB, ") as caught:
        build(folder, script, max_bytes=1_000_000)
    assert caught.value.where.path == "config.json"
    assert local_images(folder).builds() == []


def test_image_with_a_lost_layer_is_made_again(folder, script):
    first = build(folder, script)
    local_images(folder).layer(first.layers[1]).unlink()
    assert build(folder, script) == first
    assert local_images(folder).layer(first.layers[1]).exists()


def test_removed_image_frees_what_no_other_has(folder, script):
    first = build(folder, script)
    (script / "main.py").write_text("changed = True\n")
    second = build(folder, script)
    images = local_images(folder)
    assert images.remove(first.id) == first.layers[-1].size
    assert images.get(first.id) is None
    assert all(images.layer(layer).exists() for layer in second.layers)


def test_base_that_is_used_is_kept_and_another_is_removed(folder, script):
    used = build(folder, script)
    other = put_base(folder, "another base")
    images = local_images(folder)
    with pytest.raises(UserError, match="images are made of the base"):
        images.remove_base(images.get(used.id).base)
    assert images.remove_base(other.image.id) == other.image.size
    assert all(images.layer(layer).exists() for layer in used.layers)


def test_killed_build_leaves_nothing_that_is_used(folder, script):
    process = start(folder, script, "wait")
    for line in process.stdout:
        if "installing" in line:
            break
    process.kill()
    process.communicate(timeout=10)
    assert local_images(folder).builds() == []
    assert kinds(build(folder, script))[-1] == LayerKind.CODE
    assert list((folder / "temporary").iterdir()) == []


def test_processes_that_build_the_same_make_it_once(folder, script):
    processes = [start(folder, script) for _ in range(3)]
    said = [process.communicate(timeout=60)[0].splitlines() for process in processes]
    assert len({lines[-1] for lines in said}) == 1
    assert sum("installing 1 package" in lines for lines in said) == 1


def test_threads_build_different_scripts_at_once(folder, tmp_path):
    scripts = [new_script(tmp_path / f"script {number}") for number in range(4)]
    for number, each in enumerate(scripts):
        (each / "main.py").write_text(f"number = {number}\n")
    found = []
    threads = [
        threading.Thread(target=lambda each=each: found.append(build(folder, each)))
        for each in scripts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({image.id for image in found}) == 4
    assert len({image.layers[1] for image in found}) == 1


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a disk takes root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_full_disk_is_told_and_leaves_nothing_half(small_disk, script):
    put_base(small_disk / "images")
    (script / "data.bin").write_bytes(bytes(1_000_000))
    with pytest.raises(PlatformError, match="is full") as caught:
        build(small_disk / "images", script)
    assert "make room" in caught.value.hint
    assert list((small_disk / "images" / "temporary").iterdir()) == []
    (script / "data.bin").unlink()
    assert kinds(build(small_disk / "images", script))[-1] == LayerKind.CODE


@pytest.mark.docker
def test_image_with_a_package_of_the_index_runs_in_an_engine(slim_base, engine, script):
    lines = ["file:dependencies/plates-1.0-py3-none-any.whl", "six==1.16.0"]
    (script / "requirements.txt").write_text("\n".join(lines))
    image = slim_base.build(script_version(script), tell=lambda line: None)
    code = "import os, main, six; print(main.VERSION, six.__version__, os.getuid(), os.getcwd())"
    said = run_in(engine, slim_base, image, code)
    assert said.split() == ["1.0", "1.16.0", "10001", "/opt/stepline/script"]


def run_in(engine, images, image, code):
    """Run Python code in a container of an image; return what it prints."""
    layers = [layer.digest for layer in image.layers]
    loaded = engine.load(
        layers, lambda file, without: images.write_archive(image, file, without=without)
    )
    assert loaded == image.id
    command = ["python3", "-c", code]
    limits = Limits(network=Network.NONE)
    spec = ContainerSpec(image=image.id, command=command, owner="test images", limits=limits)
    container = engine.start(spec)
    try:
        assert container.wait(timeout_s=60).exit_code == 0, container.output()
        return container.output()
    finally:
        container.remove()
        engine.remove_image(image.id)

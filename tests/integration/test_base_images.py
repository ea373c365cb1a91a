"""Base images for real: built of Debian packages, run by an engine, fetched from a registry."""

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from stepline.errors import UserError
from stepline.model.image import BaseVariant
from stepline.model.task import Limits, Network
from stepline.plugins.images_local.bases import Bases
from stepline.plugins.images_local.mirrors import SEEN_AT, find_sources, write_apt_folder
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.trees import read_layers
from stepline.ports.engine import ContainerSpec, Mount
from stepline.ports.images import ImageOptions
from tests.support.engines import SUITES
from tests.support.images import local_images, no_engine
from tests.support.tiny_images import tiny_image

SLIM, HOOK = BaseVariant.SLIM, BaseVariant.HOOK
LARGEST_BYTES = 70_000_000
TOOLS = re.compile(r"usr/(s?bin|local/bin)/(apt.*|dpkg.*|pip.*|perl.*|gcc.*|git|curl|uv|openssl)")
BUILD = """
import sys
from pathlib import Path
from stepline.model.image import BaseVariant
from tests.support.images import local_images

local_images(Path(sys.argv[1])).build_base(
    "bookworm", BaseVariant.SLIM, tell=lambda line: print(line, flush=True)
)
"""


def base_of(images, variant=SLIM, runtime="3.11"):
    return images.base(runtime, variant, tell=lambda line: None)


def tree_of(images, base):
    return read_layers([images.layer(layer) for layer in base.image.layers])


def text_of(tree, path):
    return tree[path].content.read().decode("utf-8", "replace")


@pytest.mark.debian
@pytest.mark.parametrize("runtime", SUITES)
def test_4_04_base_slim_has_the_python_and_none_of_the_tools(all_bases, runtime):
    base = base_of(all_bases, runtime=runtime)
    tree = tree_of(all_bases, base)
    assert base.source == f"debian:{SUITES[runtime]}"
    assert f"usr/bin/python{runtime}" in tree
    assert [path for path in tree if TOOLS.fullmatch(path)] == []
    assert base.image.size + 20_000 <= LARGEST_BYTES
    assert tree["tmp"].mode == 0o1777
    assert "task:x:10001:10001:" in text_of(tree, "etc/passwd")
    assert text_of(tree, "etc/ssl/certs/ca-certificates.crt").count("BEGIN CERTIFICATE") > 100
    status = text_of(tree, "var/lib/dpkg/status")
    assert f"Package: python{runtime}-minimal\n" in status
    assert "Package: dpkg\n" not in status


@pytest.mark.debian
@pytest.mark.docker
@pytest.mark.parametrize("runtime", SUITES)
def test_base_slim_runs_its_python_as_the_user_of_tasks(all_bases, engine, runtime):
    base = base_of(all_bases, runtime=runtime)
    code = "import bz2, ctypes, lzma, sqlite3, ssl, sys, zoneinfo, json, getpass;"
    code += "print(getpass.getuser(), sys.version.split()[0], json.__cached__)"
    said = run(engine, all_bases, base, base.image.python, "-c", code)
    assert re.fullmatch(rf"task {re.escape(runtime)}\.\d+ /usr/lib/.*\.pyc\n", said)


@pytest.mark.debian
@pytest.mark.docker
def test_base_hook_installs_packages_of_the_machines_mirror(hook_base, engine, tmp_path):
    """The mirror is known while it runs, and not to the base itself."""
    base = base_of(hook_base, HOOK)
    apt, work = tmp_path / "apt", tmp_path / "work"
    apt.mkdir(), work.mkdir()
    sources = find_sources("bookworm", folder=work, environ=os.environ)
    write_apt_folder(apt, sources, environ=os.environ)
    script = "apt-get -q update && apt-get -qy install hostname figlet && figlet -v && pip -V"
    said = run(engine, hook_base, base, "sh", "-ec", script, apt=apt)
    assert "FIGlet" in said
    assert "pip 23" in said
    host = sources[0].mirror.site.split("/")[2]
    tree = tree_of(hook_base, base)
    settings = [path for path in tree if path.startswith(("etc/", "var/lib/apt", "root/"))]
    naming = [path for path in settings if tree[path].content and host in text_of(tree, path)]
    assert naming == []


def run(engine, images, base, *command, apt=None):
    """Run a command in a base and return what it printed."""
    layers = [layer.digest for layer in base.image.layers]
    engine.load(
        layers, lambda file, without: images.write_archive(base.image, file, without=without)
    )
    mounts = [Mount(source=str(apt), target=SEEN_AT)] if apt else []
    spec = ContainerSpec(
        image=base.image.id,
        command=command,
        owner=f"test-{uuid.uuid4().hex}",
        mounts=mounts,
        limits=Limits(network=Network.HOST if apt else Network.NONE),
        user="0:0" if apt else "10001:10001",
        trusted=bool(apt),
    )
    container = engine.start(spec)
    try:
        ended = container.wait(timeout_s=120)
        said = container.output()
    finally:
        container.remove()
    assert ended is not None, said
    assert ended.exit_code == 0, said
    return said


@pytest.mark.debian
def test_base_built_by_two_at_once_is_made_once_and_the_same_as_elsewhere(slim_base, tmp_path):
    found, said = [], []

    def build():
        images = local_images(tmp_path)
        found.append(images.build_base("bookworm", SLIM, tell=said.append))

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert [base.image.id for base in found] == [base_of(slim_base).image.id] * 2
    assert len([line for line in said if "bookworm-security" in line]) == 1


@pytest.mark.debian
def test_base_half_made_by_a_process_that_was_killed_is_not_used(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", BUILD, str(tmp_path)], stdout=subprocess.PIPE)
    assert b"bookworm" in process.stdout.readline()
    wait_until(lambda: len(using(tmp_path)) > 1)
    process.kill()
    process.communicate(timeout=10)
    wait_until(lambda: not using(tmp_path))
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    assert list(local_images(tmp_path).bases()) == []
    with LayerStore(tmp_path).temporary() as folder:
        assert list(folder.parent.iterdir()) == [folder]


def using(folder):
    """Return the processes whose words name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if os.fsencode(folder) in path.read_bytes():
                found.append(path.parent.name)
    return found


def wait_until(holds):
    for _ in range(100):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come true in 10 s")


@pytest.fixture
def published(engine, registry):
    """Pushes a small image as a tag of a registry, and returns the reference."""
    name = f"{registry}/bases-{uuid.uuid4().hex}"
    ids = []

    def publish(tag="1", **how):
        image = tiny_image({"usr/local/bin/python3.11": uuid.uuid4().hex}, **how)
        ids.append(engine.load(list(image.layers), image.write))
        engine.push(image.id, f"{name}:{tag}", credential=None)
        return f"{name}:{tag}"

    yield publish
    for image_id in ids:
        engine.remove_image(image_id)


def bases_of(folder, engine, **named):
    get = no_engine if engine is None else lambda: engine
    options = ImageOptions(folder=folder, bases=named, engine=get, credential=lambda _: None)
    return Bases(LayerStore(folder), options, environ=os.environ)


@pytest.mark.docker
@pytest.mark.registry
def test_base_of_a_registry_is_pinned_when_it_is_first_used(published, engine, tmp_path):
    reference = published()
    first = bases_of(tmp_path, engine, **{"3.11": reference}).get("3.11", SLIM, tell=print)
    published()
    again = bases_of(tmp_path, None, **{"3.11": reference}).get("3.11", SLIM, tell=print)
    assert again == first
    assert first.source == f"{reference.removesuffix(':1')}@{engine_digest(engine, first)}"
    assert first.image.python == "/usr/local/bin/python3.11"
    assert first.image.site == "/usr/local/lib/python3.11/site-packages"


def engine_digest(engine, base):
    return engine.image(base.source).digests[0].partition("@")[2]


@pytest.mark.docker
@pytest.mark.registry
def test_base_of_a_registry_gets_the_user_of_tasks(published, engine, tmp_path):
    known = bases_of(tmp_path, engine, **{"3.11": published()})
    base = known.get("3.11", SLIM, tell=print)
    store = LayerStore(tmp_path)
    tree = read_layers([store.path(layer) for layer in base.image.layers])
    assert text_of(tree, "etc/passwd") == "task:x:10001:10001:task:/tmp:/bin/sh\n"
    assert tree["tmp"].mode == 0o1777
    assert known.get("3.11", HOOK, tell=print).image == base.image


@pytest.mark.docker
@pytest.mark.registry
def test_base_without_the_runtime_is_refused_naming_both(published, engine, tmp_path):
    known = bases_of(tmp_path, engine, **{"3.9": published()})
    with pytest.raises(UserError, match=r"has python3\.11, and the runtime is python3\.9"):
        known.get("3.9", SLIM, tell=print)


@pytest.mark.docker
@pytest.mark.registry
def test_base_for_another_platform_is_refused_naming_both(published, engine, tmp_path):
    known = bases_of(tmp_path, engine, **{"3.11": published(architecture="arm64")})
    with pytest.raises(UserError, match=r"is for linux/arm64.*linux/amd64"):
        known.get("3.11", SLIM, tell=print)
    assert known.all() == []

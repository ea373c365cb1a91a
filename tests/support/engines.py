"""A real container engine, registry and base images, for tests that carry their markers.

``.ci/run`` starts them and names them in the environment; elsewhere what is found is used,
and tests without it are skipped.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepline.bootstrap import Plugins
from stepline.errors import SteplineError
from stepline.model.image import BaseVariant
from stepline.ports.engine import ContainerEngine
from stepline.ports.images import Images
from stepline.settings import Settings

DOCKER_HOST = "STEPLINE_TEST_DOCKER_HOST"
REGISTRY = "STEPLINE_TEST_REGISTRY"
IMAGES_DIR = "STEPLINE_TEST_IMAGES_DIR"
SUITES = {"3.9": "bullseye", "3.11": "bookworm", "3.13": "trixie"}


def engine_environ() -> dict[str, str]:
    """Return this process's environment, with DOCKER_HOST naming the engine for tests."""
    host = os.environ.get(DOCKER_HOST) or os.environ.get("DOCKER_HOST")
    return {**os.environ, **({"DOCKER_HOST": host} if host else {})}


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerEngine]:
    """A real container engine."""
    plugins = Plugins(tmp_path_factory.mktemp("engine"), engine_environ())
    found = plugins.engine()
    try:
        found.check()
    except SteplineError as error:
        pytest.skip(f"there is no container engine: {error}")
    yield found
    found.close()


@pytest.fixture(scope="session")
def registry() -> str:
    """Host and port of a real registry that wants no credential."""
    address = os.environ.get(REGISTRY)
    if not address:
        pytest.skip(f"{REGISTRY} names no registry")
    return address


@pytest.fixture(scope="session")
def images_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of images that all tests share; what one leaves there may be found by others."""
    own = os.environ.get(IMAGES_DIR)
    return Path(own) if own else tmp_path_factory.mktemp("images")


@pytest.fixture(scope="session")
def images_environ(images_dir: Path) -> dict[str, str]:
    """Environment of a platform that uses the shared images and the engine for tests."""
    return {**engine_environ(), "STEPLINE_IMAGES_DIR": str(images_dir)}


@pytest.fixture(scope="session")
def images(images_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Images:
    """The shared images."""
    settings = Settings(images_dir=str(images_dir))
    return Plugins(tmp_path_factory.mktemp("cache"), engine_environ(), settings).images()


def need_base(images: Images, runtime: str, variant: BaseVariant = BaseVariant.SLIM) -> None:
    """Have the base image of a runtime made from Debian packages, once for all tests."""
    found = {(base.image.runtime, base.variant) for base in images.bases()}
    if (runtime, variant) in found:
        return
    if shutil.which("mmdebstrap") is None or os.geteuid():
        pytest.skip("making base images takes mmdebstrap and root")
    images.build_base(SUITES[runtime], variant, tell=lambda line: None)


@pytest.fixture(scope="session")
def slim_base(images: Images) -> Images:
    """The shared images, with the slim base of Python 3.11."""
    need_base(images, "3.11")
    return images


@pytest.fixture(scope="session")
def hook_base(slim_base: Images) -> Images:
    """The shared images, with both bases of Python 3.11."""
    need_base(slim_base, "3.11", BaseVariant.HOOK)
    return slim_base


@pytest.fixture(scope="session")
def all_bases(hook_base: Images) -> Images:
    """The shared images, with the slim bases of all runtimes that Debian has."""
    for runtime in SUITES:
        need_base(hook_base, runtime)
    return hook_base

"""How the suite is shared out to several processes, where it runs with ``--dist loadfile``.

A process gets whole files, in the order of collection: what takes long comes first, and the many
short files of ``tests/unit`` fill up the end. What needs a container engine goes to one process,
as if it were one file, since such tests look at all that is in the engine, and remove it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

# How every module says it, so that what it needs is known before it is collected.
MARK = "pytest.mark.docker"
ENGINE = "engine"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Give whole files to the processes, and one of them all that needs the engine."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(config.rootpath, nodeid.split("::", 1)[0])

    config.option.loadscopereorder = False
    return Scheduling(config, log)


@cache
def group_of(root: Path, file: str) -> str:
    """Return what the tests of a file stay together with: the engine, or only themselves."""
    return ENGINE if MARK in (root / file).read_text() else file


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all processes of a test session share."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def stepline_cache(shared_folder: Path) -> Path:
    """A folder for STEPLINE_CACHE_DIR, so that an environment is made once in a test session."""
    folder = shared_folder / "stepline-cache"
    folder.mkdir(exist_ok=True)
    return folder

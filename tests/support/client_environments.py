"""Environments with what tests need and do not import: servers, and the clients of pushes.

Each is made once, by uv: that of a lock file for all sessions, that of a task script for one.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest
import uv

from stepline.errors import PlatformError, UserError
from stepline.model.task_script import Function, TaskScript
from stepline.plugins.executor_process.pythons import own_version
from stepline.ports.executor import ScriptVersion
from tests.support.executors import make_process_executor

ROOT = Path(__file__).parents[2]
_MOST_S = 600


def locked_environment(config: pytest.Config, name: str) -> Path:
    """Return the interpreter of an environment with what ``requirements/NAME.txt`` has.

    It is kept in pytest's cache. The test is skipped if it cannot be made.

    Args:
        config: Of the session.
        name: Name of the lock file.
    """
    assert config.cache is not None
    folder = Path(config.cache.mkdir(name))
    locked = ROOT / "requirements" / f"{name}.txt"
    ready, wanted = folder / "ready", sys.version + locked.read_text()
    python = folder / "venv" / "bin" / "python"
    with open(folder / "lock", "w") as lock:
        # Another process of the session may be making it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists() or ready.read_text() != wanted:
            _uv("venv", "--quiet", "--clear", "--python", sys.executable, folder / "venv")
            _uv("pip", "install", "--quiet", "--python", python, "-r", locked)
            ready.write_text(wanted)
    return python


def client_environment(slug: str, *, cache: Path, scratch: Path) -> Path:
    """Make the environment of a ready-made task script in a cache that tests share.

    Executors over the same cache find it made, as does ``stepline`` with STEPLINE_CACHE_DIR. The
    test is skipped if its client cannot be had.

    Args:
        slug: Folder below ``task-scripts``.
        cache: The cache.
        scratch: An empty folder.

    Returns:
        The cache.
    """
    folder = ROOT / "task-scripts" / slug
    script = TaskScript((Function("none", "main.none"),))
    version = ScriptVersion(slug, f"sha256:{slug}", str(folder), script, own_version())
    executor = make_process_executor(cache, scratch)
    try:
        executor.prepare(version)
    except (UserError, PlatformError) as error:
        pytest.skip(f"the client of {slug} cannot be installed: {error}")
    finally:
        executor.close()
    return cache


def _uv(*arguments: object) -> None:
    words = [uv.find_uv_bin(), *(str(each) for each in arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=_MOST_S, check=False)
    if done.returncode != 0:
        pytest.skip(f"uv {arguments[0]} failed: {done.stderr.strip()}")

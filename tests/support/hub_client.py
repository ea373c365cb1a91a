"""The real client of the Hugging Face Hub, from the environment of the task script that pushes."""

import os
import sys
from pathlib import Path

import pytest

from stepline.errors import SteplineError
from stepline.model.task_script import TaskScript
from stepline.plugins.executor_process.pythons import own_version
from stepline.ports.executor import ScriptVersion
from tests.support.executors import make_process_executor

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "task-scripts/push-huggingface"
TOKEN = "hf_0123456789abcdefghij"

SETTINGS = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "no_proxy": "127.0.0.1"}
"""What the client reads as it is imported."""


@pytest.fixture(scope="session")
def hub_environment(stepline_cache, tmp_path_factory):
    """Folder of the environment, made once by the platform itself; tasks use the very same."""
    executor = make_process_executor(stepline_cache, tmp_path_factory.mktemp("hub"))
    name = "common/push-huggingface:v1.0.0"
    version = ScriptVersion(name, "sha256:0", str(SCRIPT), TaskScript(()), own_version())
    try:
        executor.prepare(version)
    except SteplineError as error:
        pytest.skip(f"the client cannot be installed: {error}")
    finally:
        executor.close()
    packages = f"environments/*/venv/lib/python{own_version()}/site-packages/huggingface_hub"
    return min(stepline_cache.glob(packages)).parents[3]


@pytest.fixture
def hub_packages(hub_environment, monkeypatch):
    """Let this process import the client."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    (packages,) = hub_environment.glob("lib/python*/site-packages")
    monkeypatch.setattr(sys, "path", [*sys.path, os.fspath(packages)])

"""Pushes to the stand-in for Kaggle by the ready-made task script and its real client."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from stepline.app.run_secrets import reference
from stepline.plugins.executor_process.executor import ProcessExecutor
from stepline.testing.kaggle_standin import KaggleStandIn
from tests.support.executors import make_process_executor
from tests.support.pushing import Pusher, tuned

KEY = "0123456789abcdef0123456789abcdef"
OTHER_SECRET = "correct-horse-battery"

LESS_PATIENCE = """
import connection

for _each in (KaggleDataset, KaggleKernel, KaggleModel):
    _each.pause_s = 0.05
    _each.settle_s = 0.6
    _each.tries = 3
connection.CALL_S = 5.0
"""


@pytest.fixture(scope="module")
def kaggle_port():
    """A free port, the same for all tests of a module, as the workers know it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def kaggle_script(tmp_path_factory):
    return tuned("push-kaggle", tmp_path_factory.mktemp("script"), LESS_PATIENCE)


@pytest.fixture(scope="module")
def executor(push_client, tmp_path_factory, kaggle_port):
    (folder := tmp_path_factory.mktemp("executor") / "tmp").mkdir()
    made = make_process_executor(
        push_client("push-kaggle"), folder, task_env=KaggleStandIn.env_of(kaggle_port)
    )
    yield made
    made.close()


@pytest.fixture
def kaggle(kaggle_port):
    with KaggleStandIn(port=kaggle_port, accounts={"me": KEY, "you": "another-key"}) as service:
        yield service


def kaggle_pusher(
    executor: ProcessExecutor, version: object, folder: Path, function: str, **input: object
) -> Pusher:
    """Return what pushes as the user ``me``."""
    return Pusher(
        executor,
        version,
        function=function,
        folder=folder,
        input={"username": "me", "api_key": reference("api_key"), **input},
        secrets={"api_key": KEY, "database": OTHER_SECRET},
    )

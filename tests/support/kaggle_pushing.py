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
connection.CALL_S = 30.0
"""

# Kaggle's client takes most of a second to import. Here the worker imports it once, and each
# push forks it, as a process of its own that does just what `client.py` does when it is started.
# The tests that kill a push, and those of the protocols, start it as users do.
PRELOADED = (
    LESS_PATIENCE
    + """
import contextlib, io, os, signal, tempfile
import client

_settings = {"KAGGLE_API_ENVIRONMENT": "LOCALHOST", "KAGGLE_CONFIG_DIR": tempfile.mkdtemp()}
os.environ.update(_settings)
with contextlib.redirect_stdout(io.StringIO()):
    import kaggle.api.kaggle_api_extended
for _name in _settings:
    del os.environ[_name]

class _Forked:
    def __init__(self, home):
        read, self_write = os.pipe()
        self_read, write = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self_write)
            os.environ.update(HOME=home, TMPDIR=home)
            tempfile.tempdir = None
            try:
                client.serve(os.fdopen(read), os.fdopen(write, "w"))
            finally:
                os._exit(0)
        os.close(read)
        os.close(write)
        self.stdin, self.stdout = os.fdopen(self_write, "w"), os.fdopen(self_read)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def wait(self):
        os.waitpid(self.pid, 0)

connection.Connection._start = lambda self: _Forked(self._home)
"""
)


@pytest.fixture(scope="module")
def kaggle_port():
    """A free port, the same for all tests of a module, as the workers know it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def kaggle_script(tmp_path_factory):
    """The task script with a client that is there already."""
    return tuned("push-kaggle", tmp_path_factory.mktemp("script"), PRELOADED)


@pytest.fixture(scope="module")
def executor(push_client, tmp_path_factory, kaggle_port):
    yield from _executor(push_client, tmp_path_factory, kaggle_port)


@pytest.fixture(scope="module")
def started_script(tmp_path_factory):
    """The task script with a client that each push starts."""
    return tuned("push-kaggle", tmp_path_factory.mktemp("script"), LESS_PATIENCE)


@pytest.fixture(scope="module")
def starting_executor(push_client, tmp_path_factory, kaggle_port):
    """For the script whose pushes start their client."""
    yield from _executor(push_client, tmp_path_factory, kaggle_port)


def _executor(push_client, tmp_path_factory, port):
    (folder := tmp_path_factory.mktemp("executor") / "tmp").mkdir()
    made = make_process_executor(
        push_client("push-kaggle"), folder, task_env=KaggleStandIn.env_of(port)
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

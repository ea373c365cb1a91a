"""The service loses nothing when it runs tasks in containers, and its daemon is killed too."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stepline.bootstrap import Plugins
from tests.support.daemons import own_daemon

pytestmark = [pytest.mark.docker, pytest.mark.slow]

LONGEST_S = 240
KILLS_OF_THE_DAEMON = 2


@pytest.fixture
def daemon(tmp_path_factory):
    """A daemon that the test may kill."""
    with own_daemon(tmp_path_factory.mktemp("dk")) as daemon:
        yield daemon


def kill_again_and_again(daemon, running, killed):
    """Kill a daemon while a process runs, each time when some tasks have begun."""
    while len(killed) < KILLS_OF_THE_DAEMON and running.poll() is None:
        time.sleep(3)
        daemon.kill()
        daemon.start()
        killed.append(time.monotonic())


# docker-py leaves sockets open that it could not connect.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_crash_of_a_service_with_containers_and_of_its_daemon_loses_nothing(
    daemon, slim_base, images_dir, tmp_path
):
    environ = {
        **os.environ,
        "DOCKER_HOST": daemon.host,
        "STEPLINE_IMAGES_DIR": str(images_dir),
        "STEPLINE_CACHE_DIR": str(tmp_path / "cache"),
        "TMPDIR": str(tmp_path),
    }
    words = ["--kills", "10", "--executor", "docker", "--json"]
    command = [sys.executable, "-m", "stepline", "selftest", "--crash", *words]
    killed = []
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        killing = threading.Thread(target=kill_again_and_again, args=(daemon, running, killed))
        assert "killing the service" in running.stderr.readline()
        killing.start()
        printed, said = running.communicate(timeout=LONGEST_S)
        killing.join()
    assert printed, said
    report = json.loads(printed)
    assert (running.returncode, report["findings"]) == (0, {})
    assert (report["kills"], len(killed)) == (10, KILLS_OF_THE_DAEMON)
    engine = Plugins(Path(environ["STEPLINE_CACHE_DIR"]), environ).engine()
    assert engine.containers() == []
    engine.close()

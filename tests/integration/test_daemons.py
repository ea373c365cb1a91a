"""Daemons that tests start leave nothing, also when the test is killed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import daemons

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
TEST = """
import sys, time
from pathlib import Path
from tests.support.daemons import own_daemon
with own_daemon(Path(sys.argv[1])):
    print("up", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("renamed", [False, True], ids=["as it was", "renamed"])
def test_daemon_of_a_test_that_was_killed_is_removed_by_the_next(tmp_path_factory, renamed):
    if os.geteuid() or not os.path.exists(daemons.PROGRAM) or shutil.which("ip") is None:
        pytest.skip("a daemon of one's own takes root, dockerd and ip")
    root = tmp_path_factory.mktemp("d")  # the paths of sockets must be short
    folder = root / "s" / "dk0"
    folder.mkdir(parents=True)
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    command = [sys.executable, "-c", TEST, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE) as test:
        assert test.stdout.readline() == b"up\n"
        daemons.remove_forsaken(root)  # it lives
        assert daemons.mounts_below(root)
        test.kill()
    if renamed:
        folder.parent.rename(root / "garbage-1")
    daemons.remove_forsaken(root)
    assert daemons.mounts_below(root) == []
    assert not os.path.exists(f"/sys/class/net/slt{test.pid}")
    assert not [words for _, words in daemons.commands() if any(str(folder) in w for w in words)]

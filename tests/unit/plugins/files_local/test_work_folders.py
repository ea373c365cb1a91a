"""What is left of runs that were killed, and what must be left alone."""

import os
import subprocess
import sys

import pytest

from stepline.plugins.files_local.work_folders import hold, sweep_stale

HOLD = """
import sys
from stepline.plugins.files_local.work_folders import hold
hold(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def killed(tmp_path):
    """A process that holds a work folder with something in it."""
    folder = tmp_path / ".out.work-1"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    (folder / "deep").mkdir()
    (folder / "deep" / "file").touch()
    with process:
        yield process
        process.kill()


SWEEP = """
import os, sys
from stepline.plugins.files_local.work_folders import sweep_stale

left, unlink = int(sys.argv[2]), os.unlink

def killed_in_time(*arguments, **options):
    global left
    if left == 0:
        os.kill(os.getpid(), 9)
    left -= 1
    unlink(*arguments, **options)

os.unlink = killed_in_time
sweep_stale(sys.argv[1], "out")
"""


@pytest.mark.parametrize("removals", range(4))
def test_sweep_that_is_killed_is_completed_by_the_next(tmp_path, killed, removals):
    killed.kill()
    killed.wait(timeout=20)
    for name in ("a", "z"):
        (tmp_path / ".out.work-1" / name).touch()
    words = [sys.executable, "-c", SWEEP, str(tmp_path), str(removals)]
    assert subprocess.run(words, check=False).returncode == -9
    assert sweep_stale(str(tmp_path), "out") == [str(tmp_path / ".out.work-1")]
    assert os.listdir(tmp_path) == []


def test_sweep_removes_the_folder_of_a_killed_process_only(tmp_path, killed):
    assert sweep_stale(str(tmp_path), "out") == []
    killed.kill()
    killed.wait(timeout=20)
    assert sweep_stale(str(tmp_path), "out") == [str(tmp_path / ".out.work-1")]
    assert os.listdir(tmp_path) == []


def test_sweep_leaves_what_is_held_or_of_unknown_owners(tmp_path):
    (tmp_path / ".out.work-unknown").mkdir()
    os.close(hold(str(tmp_path / ".other.work-1")))
    held = hold(str(tmp_path / ".out.work-2"))
    try:
        assert sweep_stale(str(tmp_path), "out") == []
    finally:
        os.close(held)
    assert len(os.listdir(tmp_path)) == 3


def test_sweep_where_there_is_no_folder_removes_nothing(tmp_path):
    assert sweep_stale(str(tmp_path / "missing"), "out") == []

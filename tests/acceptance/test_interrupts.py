"""Ctrl-C, SIGTERM and a closed terminal end a run in good order."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

MAIN = """
import os, subprocess, time
def slow(i, c):
    c.write_file("half", "partial.txt", "PROCESSED")
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    with open(i["pids"] + ".new", "w") as file:
        file.write("%d %d" % (os.getpid(), child.pid))
    os.rename(i["pids"] + ".new", i["pids"])
    time.sleep(300)
"""
WAIT_SECONDS = 30.0


def wait_until(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["ctrl-c", "sigterm", "terminal closed"],
)
def test_run_interrupted_ends_children_and_shows_no_results(project, number, exit_code):
    project.task_script("s", MAIN, ["slow"])
    pids = project.folder / "pids"
    project.protocol("p", [{"id": "a", "function": "s/slow", "input": {"pids": str(pids)}}])
    project.write("in.json", "{}")
    words = ("run", "protocols/p", "--input", "in.json", "--out", "results")
    process = project.start(*words)
    wait_until(pids.exists)
    os.kill(process.pid, number)
    process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == exit_code
    assert not any(is_running(int(pid)) for pid in pids.read_text().split())
    assert not (project.folder / "results").exists()
    assert not [path for path in project.folder.iterdir() if ".work-" in path.name]


def test_run_that_was_killed_is_cleaned_up_by_the_next(project):
    project.task_script("s", MAIN, ["slow"])
    pids = project.folder / "pids"
    project.protocol("p", [{"id": "a", "function": "s/slow", "input": {"pids": str(pids)}}])
    project.write("in.json", "{}")
    process = project.start("run", "protocols/p", "--input", "in.json", "--out", "results")
    wait_until(pids.exists)
    process.kill()
    process.communicate(timeout=WAIT_SECONDS)
    wait_until(lambda: not any(is_running(int(pid)) for pid in pids.read_text().split()))
    project.task_script("s", "def slow(i, c): return 1\n", ["slow"])
    result = project.stepline("run", "protocols/p", "--input", "in.json", "--out", "results")
    assert result.returncode == 0, result.stderr
    assert not [path for path in project.folder.iterdir() if ".work-" in path.name]

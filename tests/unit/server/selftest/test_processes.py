"""Processes that outlive their service."""

import subprocess
import sys

import pytest

from stepline.server.selftest import processes
from stepline.server.selftest.processes import Leftovers


@pytest.fixture
def sleeper(tmp_path):
    """A process with a path among its words."""
    process = subprocess.Popen([sys.executable, "-c", "input()", tmp_path], stdin=subprocess.PIPE)
    yield process
    process.stdin.close()
    process.wait()


def test_process_that_stays_is_overdue(tmp_path, sleeper, monkeypatch):
    monkeypatch.setattr(processes, "LONGEST_S", 1.0)
    leftovers = Leftovers(str(tmp_path))
    leftovers.note()
    leftovers.look()
    assert leftovers.overdue == []
    leftovers.wait()
    assert [f"process {sleeper.pid}" in line for line in leftovers.overdue] == [True]


def test_process_that_ends_in_time_is_not(tmp_path, sleeper):
    leftovers = Leftovers(str(tmp_path))
    leftovers.note()
    sleeper.communicate()
    leftovers.wait()
    assert leftovers.overdue == []

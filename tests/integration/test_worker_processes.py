"""Finding and ending processes, on kernels that list a process's children and on others."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import stepline_sdk
from stepline_sdk.worker import processes
from tests.support.executors import process_is_there, wait_until

SOURCES = str(Path(stepline_sdk.__file__).parents[1])
FAMILY = "sleep 600 & sh -c 'sleep 600 & wait' & wait"


@pytest.fixture(params=[True, False], ids=["listed", "scanned"])
def listed(request, monkeypatch):
    """Whether the kernel lists a process's children."""
    if request.param and not processes._KERNEL_LISTS_CHILDREN:
        pytest.skip("this kernel does not")
    monkeypatch.setattr(processes, "_KERNEL_LISTS_CHILDREN", request.param)
    return request.param


@pytest.fixture
def family():
    """A process with two children and a grandchild."""
    with subprocess.Popen(["sh", "-c", FAMILY]) as parent:
        assert wait_until(lambda: len(processes.descendants(parent.pid)) == 3)
        yield parent
        processes.kill_tree(parent.pid)


def test_children_are_the_direct_ones(listed, family):
    assert len(processes.children(family.pid)) == 2


def test_descendants_come_nearest_first(listed, family):
    found = processes.descendants(family.pid)
    assert sorted(found[:2]) == sorted(processes.children(family.pid))
    assert len(found) == 3


def test_children_of_a_process_that_is_gone_are_none(listed):
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert processes.children(process.pid) == []


def test_kill_tree_ends_all(listed, family):
    pids = [family.pid, *processes.descendants(family.pid)]
    processes.kill_tree(family.pid)
    family.wait()
    assert wait_until(lambda: not any(map(process_is_there, pids)))


def test_kill_of_a_process_that_is_gone_does_nothing():
    with subprocess.Popen(["true"]) as process:
        process.wait()
    processes.kill(process.pid)


SWEEPER = """
import os, subprocess, sys, time
sys.path.insert(0, {sources!r})
from stepline_sdk.worker import processes

processes._KERNEL_LISTS_CHILDREN = processes._KERNEL_LISTS_CHILDREN and {listed}
processes.become_subreaper()
kept = subprocess.Popen(["sh", "-c", "sleep 600 & wait"])
left = subprocess.Popen(["sh", "-c", {family!r}])
daemon = subprocess.run(
    ["sh", "-c", "setsid sh -c 'trap \\"\\" TERM; sleep 600 & wait' >/dev/null & echo $!"],
    stdout=subprocess.PIPE, text=True,
)
time.sleep(0.3)
spared = {{kept.pid, *processes.descendants(kept.pid)}}
begin = time.monotonic()
{act}
print(time.monotonic() - begin < 5, set(processes.descendants(os.getpid())) == spared)
processes.sweep()
print(processes.descendants(os.getpid()))
"""


@pytest.mark.parametrize("act", ["processes.sweep_orphans(kept.pid)", "processes.sweep()"])
def test_sweep_ends_what_has_no_parent_left(listed, act):
    code = SWEEPER.format(sources=SOURCES, listed=listed, family=FAMILY, act=act)
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    expected = "True True\n[]\n" if "orphans" in act else "True False\n[]\n"
    assert (done.stdout, done.stderr) == (expected, "")


def test_descendants_are_found_quickly(listed, family):
    begin = time.perf_counter()
    for _ in range(20):
        processes.descendants(family.pid)
    assert time.perf_counter() - begin < 1

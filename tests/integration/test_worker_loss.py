"""Sudden ends of workers and of the platform: nothing is left running, nothing waits forever."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from stepline.errors import PlatformError
from stepline.model.task import Isolation, OutcomeKind
from stepline.workers import process, worker
from stepline.workers.worker import Load, Worker
from stepline_sdk import wire
from stepline_sdk.worker import remains, start
from tests.support.executors import (
    OUTCOMES,
    Bench,
    Services,
    make_process_executor,
    process_is_there,
    wait_until,
    workers,
)

ROOT = Path(__file__).parents[2]
START = Path(start.__file__)

PLATFORM = """
import sys
from pathlib import Path
from stepline.model.task import Isolation
from tests.support.executors import Bench, make_process_executor

folder, cache, isolation, memory, function, path = sys.argv[1:]
executor = make_process_executor(
    Path(cache), Path(folder) / "tmp", isolation=Isolation(isolation), memory=memory or None
)
Bench(executor, Path(folder)).run(function, {"path": path})
"""


@pytest.fixture(params=list(Isolation), ids=lambda isolation: isolation.value)
def isolation(request):
    """How tasks are kept apart."""
    return request.param


@pytest.fixture(params=[None, "watch"], ids=["strongest", "watch"])
def memory(request):
    """How memory is limited: with a cgroup where there can be one, and without."""
    return request.param


@pytest.fixture
def bench(isolation, memory, tmp_path, stepline_cache):
    """An executor of the test's own."""
    (tmp_path / "tmp").mkdir()
    executor = make_process_executor(
        stepline_cache, tmp_path / "tmp", isolation=isolation, memory=memory
    )
    yield Bench(executor, tmp_path, isolation=isolation)
    executor.close()


def end_worker_when(path, number):
    """Send a signal to the worker once a file tells that the task is on its way."""

    def end():
        assert wait_until(lambda: path.exists() and path.read_text() != "")
        for pid in workers():
            os.kill(pid, number)

    thread = threading.Thread(target=end)
    thread.start()
    return thread


def gone(path):
    pid = int(path.read_text())
    return wait_until(lambda: not process_is_there(pid), seconds=5)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_worker_ended_in_the_middle_of_a_task_loses_it_and_no_other(bench, tmp_path, number):
    path = tmp_path / "pid"
    thread = end_worker_when(path, number)
    outcome = bench.run("leave_daemon_and_sleep", {"path": str(path)})
    thread.join()
    assert outcome.kind is OutcomeKind.LOST
    assert outcome.message.startswith("the worker ended in the middle of the task.")
    assert gone(path)
    assert bench.remains() == []
    assert bench.run("echo", 1).succeeded


def test_worker_killed_while_others_name_its_folder_spares_them(bench, tmp_path):
    assert bench.run("echo", 1).succeeded
    (root,) = (tmp_path / "tmp").iterdir()
    environ = {"OLDPWD": str(root / "work-1"), "PATH": os.defpath}
    bystander = subprocess.Popen(["sleep", "60"], cwd=root / "work-1", env=environ)
    (pid,) = workers()
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not process_is_there(pid))
    bench.executor.close()
    assert bench.remains() == []
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_worker_mark_has_one_name_at_both_ends():
    assert process.MARK_VARIABLE == remains.MARK_VARIABLE


@contextmanager
def bare_worker(root):
    """A worker without an executor; gives its process and our end of its socket."""
    root.mkdir()
    here, there = socket.socketpair()
    command = [sys.executable, "-I", START, "--fd", str(there.fileno()), "--root", root]
    with here, subprocess.Popen(command, pass_fds=[there.fileno()]) as worker:
        there.close()
        yield worker, here


def test_worker_whose_platform_dies_within_a_frame_leaves_nothing(tmp_path):
    with bare_worker(tmp_path / "root") as (worker, line):
        line.sendall(wire.encode({"type": "stop"})[:-1])
        line.close()
        assert worker.wait(20) == 0
    assert not (tmp_path / "root").exists()


def test_worker_without_a_mark_removes_its_cgroup_itself(tmp_path):
    with bare_worker(tmp_path / "root") as (worker, line):
        platform = wire.Connection(line)
        load = {"type": "load", "code": str(OUTCOMES), "isolation": "fork"}
        platform.send({**load, "modules": [], "memory": None})
        ready = platform.receive()
        assert (ready["cgroup"] is None) is (ready["memory"] == "watched")
        platform.send({"type": "stop"})
        assert worker.wait(20) == 0
    assert ready["cgroup"] is None or not os.path.exists(ready["cgroup"])


def test_worker_that_ended_between_tasks_is_replaced(bench):
    assert bench.run("echo", 1).succeeded
    (pid,) = workers()
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not process_is_there(pid))
    assert bench.run("echo", 2).value["input"] == 2
    bench.executor.close()
    assert bench.remains() == []


@pytest.mark.parametrize("level", ["template", "spares"])
def test_worker_whose_idle_processes_were_killed_makes_new_ones(bench, level):
    """As the kernel may do when memory is short; no task is lost by it."""
    assert bench.run("echo", 0).succeeded
    for number in range(3):
        (worker,) = workers()
        templates = children(worker)
        spares = [pid for template in templates for pid in children(template)]
        for pid in spares if level == "spares" else templates:
            os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda gone=spares: not any(map(process_is_there, gone)))
        outcome = bench.run("echo", number + 1)
        assert outcome.value["input"] == number + 1
    assert workers() == [worker]


def test_worker_that_does_not_answer_is_ended_after_the_tasks_time(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "_GRACE_SECONDS", 0.5)
    path = tmp_path / "pid"
    thread = end_worker_when(path, signal.SIGSTOP)
    outcome = bench.run("leave_daemon_and_sleep", {"path": str(path)}, timeout_s=1.5)
    thread.join()
    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert "its worker did not answer" in outcome.message
    assert gone(path)
    assert bench.remains() == []


@pytest.mark.parametrize("function", ["main.leave_daemon_and_sleep", "import_spins.f"])
def test_worker_whose_platform_is_killed_ends_with_all_below_it(
    isolation, memory, tmp_path, stepline_cache, function
):
    (tmp_path / "tmp").mkdir()
    path = tmp_path / "pid"
    command = [sys.executable, "-c", PLATFORM, tmp_path, stepline_cache, isolation.value]
    with subprocess.Popen([*command, memory or "", function, path], cwd=ROOT) as platform:
        assert wait_until(lambda: below(platform.pid, 2))
        assert "spins" in function or wait_until(lambda: path.exists() and path.read_text() != "")
        left = below(platform.pid, 2)
        platform.kill()
    assert wait_until(lambda: not any(map(process_is_there, left)), seconds=5)
    assert "spins" in function or gone(path)
    assert wait_until(lambda: os.listdir(tmp_path / "tmp") == [])


def test_worker_whose_platform_ends_without_closing_it_leaves_nothing(
    isolation, memory, tmp_path, stepline_cache
):
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-c", PLATFORM, tmp_path, stepline_cache, isolation.value]
    subprocess.run([*command, memory or "", "main.echo", ""], cwd=ROOT, check=True, timeout=60)
    assert wait_until(lambda: os.listdir(tmp_path / "tmp") == [])


def below(pid, depth):
    """Return the processes below one, or nothing as long as there are not so many levels."""
    found, level, levels = [], children(pid), 0
    while level:
        found, levels = found + level, levels + 1
        level = [child for parent in level for child in children(parent)]
    return found if levels >= depth else []


def children(pid):
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []


def test_worker_on_an_interpreter_that_fails_says_what_it_said(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no such luck >&2\nexit 3\n")
    python.chmod(0o755)
    worker = make_worker(python, tmp_path)
    with pytest.raises(PlatformError, match=r"python does not start\. no such luck"):
        run_on(worker, tmp_path)
    worker.close()
    assert not (tmp_path / "root").exists()


def test_worker_on_an_interpreter_that_is_not_there_cannot_be_started(tmp_path):
    with pytest.raises(PlatformError, match="python cannot be started: No such file"):
        make_worker(tmp_path / "python", tmp_path)
    assert not (tmp_path / "root").exists()


def make_worker(python, folder):
    host = process.ProcessHost(str(python), str(folder / "root"), task_env={})
    return Worker(host, Load(code=str(OUTCOMES), isolation=Isolation.FORK, modules=("main",)))


def run_on(worker, folder):
    bench = Bench(None, folder)
    function = bench.version("main.echo").script.functions[0]
    return worker.run(
        bench.request("main.echo"),
        function,
        services=Services(),
        scratch=str(folder),
        inside=str(folder),
    )


def test_worker_started_beside_another_does_not_keep_its_line_open(bench, tmp_path):
    """An end that a second worker held would hide the first one's death."""
    path = tmp_path / "pid"
    second = threading.Thread(target=bench.run, args=("sleep",), kwargs={"timeout_s": 3})
    first = []
    thread = threading.Thread(
        target=lambda: first.append(bench.run("leave_daemon_and_sleep", {"path": str(path)}))
    )
    thread.start()
    assert wait_until(lambda: path.exists() and path.read_text() != "")
    (pid,) = workers()
    second.start()
    assert wait_until(lambda: len(workers()) == 2)
    os.kill(pid, signal.SIGKILL)
    thread.join(2.5)
    assert first[0].kind is OutcomeKind.LOST
    second.join()

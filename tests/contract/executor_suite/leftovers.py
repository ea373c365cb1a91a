"""A task leaves nothing behind: no process, no file."""

import os
import shutil
import uuid
from pathlib import Path

import pytest

from stepline.model.task import OutcomeKind
from tests.support.executors import wait_until, writer_of

SCRIPTS = {
    "plain": "echo $$ > {path}; exec sleep 600",
    "own session": (
        "python3 -c 'import os; os.setsid(); "
        """os.execlp("sh", "sh", "-c", "echo $$ > {path}; exec sleep 600")' & wait"""
    ),
    "orphan": "sh -c 'echo $$ > {path}; exec sleep 600' & exit",
    "no term": "trap '' TERM HUP INT; echo $$ > {path}; while true; do sleep 1; done",
    "own folder and environment": "cd /; exec env -i /bin/sh -c 'echo $$ > {path}; exec sleep 600'",
}


def is_gone(path: Path) -> bool:
    """Tell whether the process that wrote its id ends."""
    return wait_until(lambda: writer_of(path) is None, seconds=10)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_executor_process_that_a_task_leaves_is_ended(bench, script):
    path = bench.shared() / "pid"
    value = {"script": script.format(path=path), "path": str(path)}
    assert bench.run("leave_child", value).succeeded
    if not bench.keeps_children:
        assert is_gone(path)


def test_executor_daemon_that_a_task_leaves_is_ended(bench):
    path = bench.shared() / "pid"
    assert bench.run("leave_daemon", {"path": str(path)}).succeeded
    assert is_gone(path)


def test_executor_daemon_of_a_task_over_its_time_is_ended(bench):
    path = bench.shared() / "pid"
    outcome = bench.run("leave_daemon_and_sleep", {"path": str(path)}, timeout_s=1)
    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert is_gone(path)


def test_executor_files_that_a_task_leaves_are_removed(bench):
    assert bench.run("leave_files").succeeded
    seen = bench.run("look_around").value
    assert (seen["work"], seen["tmp"], seen["home"]) == (["func"], [], [])
    assert seen["modes"] == [0o700, 0o700]


def test_executor_folders_too_deep_to_name_are_removed(bench):
    assert bench.run("leave_deep_folders", {"depth": 1500}).succeeded
    assert bench.run("look_around").value["work"] == ["func"]


def test_executor_link_left_in_place_of_a_folder_is_not_followed(bench):
    folder = bench.shared()
    (folder / "precious").write_text("kept")
    assert bench.run("leave_link", {"target": str(folder)}).succeeded
    assert bench.run("look_around").value["tmp"] == []
    assert (folder / "precious").read_text() == "kept"


def test_executor_shared_folders_are_emptied_where_they_are_the_tasks_own(bench):
    """A process's are those of the whole machine, and none of ours to empty."""
    name = f"left-{uuid.uuid4().hex}"
    value = {"folders": ["/tmp", "/dev/shm"], "name": name}
    assert bench.run("leave_everywhere", value).succeeded
    left = [f"/tmp/{name}", f"/dev/shm/{name}"] if bench.executor.name == "process" else []
    assert bench.run("find_everywhere", value).value == left
    for path in left:
        shutil.rmtree(path)


def test_executor_worker_is_closed_to_its_task(bench):
    if bench.executor.name == "process" and os.geteuid() == 0:
        pytest.skip("tasks are root, to whom nothing is closed")
    outcome = bench.run("reach_into_worker")
    assert (outcome.message, outcome.value) == ("", [])


def test_executor_close_leaves_nothing(own_bench):
    path = own_bench.shared() / "pid"
    own_bench.run("leave_files")
    own_bench.run("leave_daemon", {"path": str(path)})
    own_bench.run("leave_child", {"script": SCRIPTS["plain"].format(path=path), "path": str(path)})
    own_bench.executor.close()
    assert is_gone(path)
    assert own_bench.remains() == []

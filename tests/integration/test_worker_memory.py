"""Both ways of limiting memory: with a cgroup, and by looking."""

import os
import time
from pathlib import Path

import pytest

from stepline.model.task import Isolation, OutcomeKind
from stepline_sdk.worker import memory
from tests.support.executors import Bench, make_process_executor

MIB = 1024 * 1024


@pytest.fixture(params=list(Isolation), ids=lambda isolation: isolation.value)
def bench(request, tmp_path, stepline_cache):
    """An executor that has no cgroup."""
    (tmp_path / "tmp").mkdir()
    executor = make_process_executor(
        stepline_cache, tmp_path / "tmp", isolation=request.param, memory="watch"
    )
    yield Bench(executor, tmp_path, isolation=request.param)
    executor.close()


@pytest.mark.parametrize("function", ["eat", "import_eats.f"])
def test_watched_memory_task_over_its_limit_is_ended(bench, function):
    for _ in range(2):
        outcome = bench.run(function, memory_mb=150)
        assert outcome.kind is OutcomeKind.OUT_OF_MEMORY
        assert outcome.message == "the task needs more memory than its 150 MiB"
        assert outcome.duration_s < 10
    assert bench.run("echo", 1).succeeded


def test_watched_memory_of_a_child_process_counts(bench):
    assert bench.run("eat_in_child", memory_mb=150).kind is OutcomeKind.OUT_OF_MEMORY


def test_watched_memory_of_a_process_that_left_its_parents_counts(bench):
    outcome = bench.run("eat_in_daemon", memory_mb=150, timeout_s=20)
    assert outcome.kind is OutcomeKind.OUT_OF_MEMORY


def test_watched_memory_task_within_its_limit_lives(bench):
    assert bench.run("hold", {"bytes": 80 * MIB}, memory_mb=150).value == 80 * MIB


def test_watched_memory_pages_that_processes_share_count_once(bench):
    value = {"bytes": 60 * MIB, "forks": 5, "seconds": 0.3}
    assert bench.run("hold_in_forks", value, memory_mb=150).value == [0] * 5


def test_watched_memory_limit_is_each_tasks_own(bench):
    assert bench.run("hold", {"bytes": 150 * MIB}, memory_mb=300).succeeded
    assert bench.run("eat", memory_mb=100).kind is OutcomeKind.OUT_OF_MEMORY
    assert bench.run("hold", {"bytes": 150 * MIB}, memory_mb=None).succeeded


def test_watched_memory_costs_little(bench):
    before = time.process_time() + os.times().children_user + os.times().children_system
    assert bench.run("sleep", timeout_s=1).kind is OutcomeKind.TIMED_OUT
    bench.executor.close()
    after = time.process_time() + os.times().children_user + os.times().children_system
    assert after - before < 0.5


@pytest.fixture
def cgroup():
    """A memory limit by a cgroup, in which this process is until the test ends."""
    limit = memory.memory_limit()
    if limit.folder is None:
        pytest.skip("no memory cgroup can be made here")
    yield limit
    limit.close()
    assert not os.path.exists(limit.folder)


def test_cgroup_limit_is_written_and_lifted(cgroup):
    name = "memory.max" if "unified" in cgroup.folder else "memory.limit_in_bytes"
    file = Path(cgroup.folder, name)
    cgroup.begin(2048)
    assert int(file.read_text()) == 2048 * MIB
    cgroup.begin(None)
    assert file.read_text().strip() in ("max", str((2**63 - 1) // 4096 * 4096))


@pytest.mark.parametrize("limit_mb", [1, 15])
def test_cgroup_limit_below_what_is_in_use_is_refused(cgroup, limit_mb):
    with pytest.raises(memory.LimitTooLow):
        cgroup.begin(limit_mb)


def test_cgroup_is_named_by_its_mark_or_by_chance(cgroup):
    assert os.path.basename(cgroup.folder) not in ("stepline-", f"stepline-{os.getpid()}")
    assert cgroup.way in ("cgroup v1", "cgroup v2")
    marked = memory.memory_limit(mark="some-mark")
    assert os.path.basename(marked.folder) == "stepline-some-mark"
    marked.close()
    assert not os.path.exists(marked.folder)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A stand-in for the kernel's folders; returns a function that says where we are."""
    (tmp_path / "v2").mkdir()
    (tmp_path / "v2" / "cgroup.controllers").touch()
    monkeypatch.setattr(memory, "_V1_ROOT", str(tmp_path / "v1"))
    monkeypatch.setattr(memory, "_V2_ROOT", str(tmp_path / "v2"))
    monkeypatch.setattr(memory, "_OWN_CGROUPS", str(tmp_path / "own"))
    return (tmp_path / "own").write_text


@pytest.mark.parametrize(
    ("lines", "choices"),
    [
        ("3:cpu:/a\n2:memory:/a/b\n0::/c\n", ["v1/a/b/stepline-m", "v2/c/stepline-m"]),
        ("0::/a/b\n", ["v2/a/b/stepline-m", "v2/a/stepline-m"]),
        ("0::/\n", ["v2/stepline-m"]),
        ("5:freezer:/a\n", []),
    ],
    ids=["both versions", "v2 with one beside", "v2 top", "none"],
)
def test_cgroups_of_a_mark_are_below_and_beside_our_own(tree, tmp_path, lines, choices):
    tree(lines)
    found = [os.path.relpath(folder, tmp_path) for folder, _, _ in memory.cgroups_of("m")]
    assert found[: len(choices)] == choices
    assert set(found[len(choices) :]) <= {"v2/stepline-m"}


def test_memory_limit_where_no_cgroup_can_be_made_watches(monkeypatch):
    monkeypatch.setattr(memory, "cgroups_of", lambda mark: [("/no/such/folder", memory.V2, "/")])
    assert isinstance(memory.memory_limit(), memory.WatchedMemory)


@pytest.mark.parametrize(
    ("lines", "file", "way"),
    [
        ("4:memory:/docker/a\n0::/\n", "v1/memory.oom_control", "cgroup v1 around"),
        ("4:memory:/docker/a\n", "v1/docker/a/memory.oom_control", "cgroup v1 around"),
        ("0::/\n", "v2/memory.events", "cgroup v2 around"),
    ],
    ids=["v1 as in a container", "v1 as outside", "v2"],
)
def test_memory_limit_around_counts_whom_the_kernel_ended(tree, tmp_path, lines, file, way):
    tree(lines)
    events = tmp_path / file
    events.parent.mkdir(parents=True, exist_ok=True)
    events.write_text("oom 3\noom_kill 2\n")
    limit = memory.memory_limit("around")
    assert (limit.way, limit.folder) == (way, None)
    limit.begin(100)
    assert not limit.exceeded(list)
    events.write_text("oom 4\noom_kill 3\n")
    assert limit.exceeded(list)
    limit.begin(100)
    assert not limit.exceeded(list)


def test_memory_limit_around_is_refused_where_no_task_could_run_in_it(tree, tmp_path):
    tree("0::/\n")
    (tmp_path / "v2" / "memory.events").write_text("oom_kill 0\n")
    limit = memory.memory_limit("around")
    with pytest.raises(memory.LimitTooLow):
        limit.begin(15)
    limit.begin(None)


@pytest.mark.parametrize("events", [None, "under_oom 0\n"], ids=["no file", "no count"])
def test_memory_limit_around_that_nothing_can_be_seen_of_is_watched(tree, tmp_path, events):
    tree("0::/\n")
    if events is not None:
        (tmp_path / "v2" / "memory.events").write_text(events)
    assert isinstance(memory.memory_limit("around"), memory.WatchedMemory)

"""Workers that nobody needs end, and nothing waits for that before it is so."""

import os
import threading

import pytest

from stepline.plugins.executor_process.executor import ProcessExecutor
from stepline.ports.executor import ExecutorOptions
from tests.support.executors import Bench, process_is_there, wait_until, workers

MAIN = """
import time

def nap(input, context):
    time.sleep(input)
    return input
"""
THREAD = "idle workers"


@pytest.fixture
def make_bench(tmp_path, stepline_cache):
    """Return a maker of executors whose idle workers retire; nothing of them remains."""
    code = tmp_path / "code"
    code.mkdir()
    (tmp_path / "tmp").mkdir()
    (code / "main.py").write_text(MAIN)
    made = []

    def make(idle_s):
        environ = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
        options = ExecutorOptions(scratch=str(tmp_path / "scratch"))
        executor = ProcessExecutor(
            options, cache_dir=stepline_cache, environ=environ, idle_s=idle_s
        )
        made.append(executor)
        return Bench(executor, tmp_path, code=code)

    yield make
    for executor in made:
        executor.close()
    assert (workers(), is_watched()) == ([], False)
    assert list((tmp_path / "tmp").iterdir()) == []


def is_watched():
    return any(thread.name == THREAD for thread in threading.enumerate())


def test_worker_that_is_idle_retires_and_its_folder_and_thread_with_it(make_bench):
    bench = make_bench(0.2)
    assert bench.run("nap", 0.01).value == 0.01
    (pid,) = workers()
    assert wait_until(lambda: not process_is_there(pid))
    assert wait_until(lambda: bench.remains() == [])
    assert wait_until(lambda: not is_watched())
    assert bench.run("nap", 0.01).value == 0.01
    assert workers() != [pid]
    assert is_watched()


def test_worker_at_work_does_not_retire(make_bench):
    bench = make_bench(0.3)
    bench.run("nap", 0.01)
    (pid,) = workers()
    assert bench.run("nap", 1.2).value == 1.2
    assert workers() == [pid]


def test_worker_that_is_used_again_in_time_stays_while_others_retire(make_bench):
    bench = make_bench(0.8)
    both = [threading.Thread(target=bench.run, args=("nap", 0.3)) for _ in range(2)]
    for thread in both:
        thread.start()
    assert wait_until(lambda: len(workers()) == 2)
    before = workers()
    for thread in both:
        thread.join()

    def one_is_left():
        bench.run("nap", 0.01)
        return len(workers()) == 1

    assert wait_until(one_is_left)
    assert set(workers()) < set(before)


def test_executor_without_idle_workers_has_no_thread_for_them(make_bench):
    bench = make_bench(300.0)
    bench.executor.prepare(bench.version("main.nap"))
    assert not is_watched()
    bench.executor.warm_up(bench.version("main.nap"))
    assert is_watched()
    bench.executor.close()
    assert not is_watched()

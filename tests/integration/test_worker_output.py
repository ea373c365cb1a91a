"""However much a task prints, neither the worker nor the platform grows with it."""

import time

import pytest

from stepline.model.task import Isolation
from tests.support.executors import (
    Bench,
    Services,
    make_process_executor,
    peak_bytes,
    reset_peak,
    workers,
)

MIB = 1024 * 1024


class Counting(Services):
    """Counts lines instead of keeping them; the first ones take their time."""

    def __init__(self, *, pause_s: float = 0.0) -> None:
        super().__init__()
        self.bytes = 0
        self.pauses = [pause_s] * 3

    def log(self, lines):
        time.sleep(self.pauses.pop() if self.pauses else 0)
        self.bytes += sum(len(line.text) + 1 for line in lines)


@pytest.fixture(params=list(Isolation), ids=lambda isolation: isolation.value)
def bench(request, tmp_path, stepline_cache):
    """An executor whose worker has started."""
    (tmp_path / "tmp").mkdir()
    executor = make_process_executor(stepline_cache, tmp_path / "tmp", isolation=request.param)
    made = Bench(executor, tmp_path, isolation=request.param)
    made.run("echo", 1)
    yield made
    executor.close()


def grown(bench, services, **limits):
    """Print 100 MB; return by how much the worker and this process grew, in bytes."""
    pids = [*workers(), "self"]
    for pid in pids:
        reset_peak(pid)
    before = [peak_bytes(pid) for pid in pids]
    outcome = bench.run("print_bytes", {"lines": MIB}, services=services, **limits)
    assert outcome.value == "done"
    return [peak_bytes(pid) - then for pid, then in zip(pids, before, strict=True)]


@pytest.mark.parametrize("log_bytes", [MIB, 10 * MIB, None])
def test_worker_and_platform_stay_small_when_a_task_prints_100_mb(bench, log_bytes):
    services = Counting()
    worker, platform = grown(bench, services, log_bytes=log_bytes)
    assert worker < 8 * MIB
    assert platform < 8 * MIB
    kept = 100 * MIB if log_bytes is None else log_bytes // (99 + 64) * 100
    assert kept - 200 < services.bytes <= kept + 100


def test_worker_stays_small_when_the_platform_is_slow(bench):
    services = Counting(pause_s=0.3)
    worker, _ = grown(bench, services, log_bytes=None)
    assert worker < 8 * MIB
    assert services.bytes == 100 * MIB


def test_worker_holds_the_time_limit_while_the_platform_is_busy(bench):
    """A platform that takes its time to read must not give the task more of it."""
    services = Counting(pause_s=1.0)
    outcome = bench.run("print_bytes", {"lines": 10**8}, services=services, timeout_s=0.5)
    assert outcome.kind.value == "timed-out"
    assert outcome.duration_s < 1.0

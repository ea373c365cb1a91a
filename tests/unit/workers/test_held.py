"""What is around a worker holds its tasks to limits, also where nobody sets any."""

import pytest

from stepline.model.task import Limits
from stepline.workers.held import PIDS, SHARED_MEMORY_BYTES, Held, shared_memory_bytes


@pytest.mark.parametrize(("asked", "held"), [(None, PIDS), (20, 20), (100_000, 100_000)])
def test_held_processes_are_those_asked_for_or_a_generous_number(asked, held):
    assert Held.by(Limits(pids=asked)).pids == held


@pytest.mark.parametrize(
    ("tmp_bytes", "size"),
    [(None, SHARED_MEMORY_BYTES), (4096, 4096), (1 << 40, SHARED_MEMORY_BYTES)],
    ids=["no limit", "small", "large"],
)
def test_shared_memory_is_never_more_than_temporary_space(tmp_bytes, size):
    assert shared_memory_bytes(tmp_bytes) == size

"""What tasks must not inherit from what their worker loaded: random numbers, folders, names."""

import pytest

from stepline.model.task import Isolation
from tests.support.executors import Bench, make_process_executor

MAIN = """
import os
import tempfile

import numpy.random

early = tempfile.gettempdir()


def draw(input, context):
    return numpy.random.random()


def folders(input, context):
    return [tempfile.gettempdir() == os.environ["TMPDIR"], early == os.environ["TMPDIR"]]


def bundled(input, context):
    with open("./func/data/plate.txt") as by_folder:
        with open(os.path.join(os.path.dirname(__file__), "data", "plate.txt")) as by_file:
            return [by_folder.read(), by_file.read()]


def names(input, context):
    import json

    return [json.__file__.startswith("/"), __name__, draw.__module__]
"""
# In place of the real one, which draws the same number again unless `seed` is called.
NUMPY = """
import itertools

_numbers = itertools.count()
_state = 0


def seed():
    global _state
    with open("/dev/urandom", "rb") as file:
        _state = int.from_bytes(file.read(8), "big")


def random():
    return _state
"""


@pytest.fixture(params=list(Isolation), ids=lambda isolation: isolation.value)
def bench(request, tmp_path, stepline_cache):
    """An executor with a script that uses a numpy of its own."""
    (tmp_path / "tmp").mkdir()
    code = tmp_path / "code"
    (code / "numpy").mkdir(parents=True)
    (code / "data").mkdir()
    (code / "main.py").write_text(MAIN)
    (code / "numpy" / "__init__.py").write_text("")
    (code / "numpy" / "random.py").write_text(NUMPY)
    (code / "data" / "plate.txt").write_text("7")
    executor = make_process_executor(stepline_cache, tmp_path / "tmp", isolation=request.param)
    yield Bench(executor, tmp_path, code=code, isolation=request.param)
    executor.close()


def test_worker_tasks_draw_different_numbers_from_numpy(bench):
    drawn = [bench.run("draw").value for _ in range(3)]
    if bench.isolation is Isolation.PROCESS:
        assert drawn == [0, 0, 0]  # loaded by the task itself: as numpy is when it is fresh
    else:
        assert len({*drawn, 0}) >= 3


def test_worker_temporary_folder_of_a_module_is_the_tasks_own(bench):
    own, early = bench.run("folders").value
    assert own
    assert early == (bench.isolation is not Isolation.FORK)


def test_worker_bundled_data_is_found_by_folder_and_by_file(bench):
    for _ in range(2):
        assert bench.run("bundled").value == ["7", "7"]


def test_worker_modules_have_their_own_names(bench):
    assert bench.run("names").value == [True, "main", "main"]

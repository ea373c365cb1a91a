"""Limits of time and memory hold, and say so."""

import os

import pytest

from stepline.model.task import OutcomeKind
from tests.support.executors import Services

MIB = 1024 * 1024


@pytest.mark.parametrize("function", ["sleep", "spin", "ignore_term"])
def test_executor_task_over_its_time_is_ended(bench, function):
    services = Services()
    outcome = bench.run(function, services=services, timeout_s=0.6)
    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert outcome.message == outcome.error == "the task ran longer than 0.6 s"
    assert 0.6 <= outcome.duration_s < 5
    assert services.texts() == ["asleep" if function == "sleep" else "spinning"]


def test_executor_next_task_after_a_timeout_has_its_own_time(bench):
    assert bench.run("sleep", timeout_s=0.3).kind is OutcomeKind.TIMED_OUT
    assert bench.run("print_slowly", timeout_s=10).succeeded


def test_executor_task_over_its_memory_is_ended(bench):
    outcome = bench.run("eat", memory_mb=100)
    assert outcome.kind is OutcomeKind.OUT_OF_MEMORY
    assert outcome.message.startswith("the task needs more memory than its 100 MiB")
    assert outcome.error == {"message": {"text": "Invalid exit code 137", "oomError": True}}


@pytest.mark.parametrize("function", ["eat_in_child", "eat_in_child_and_raise"])
def test_executor_memory_of_a_child_process_counts(bench, function):
    outcome = bench.run(function, memory_mb=100)
    if outcome.kind is OutcomeKind.RETURNED:
        assert outcome.value != {"code": 0}  # it lived, and was told of the child's end
        assert function == "eat_in_child"
    else:
        assert outcome.kind is OutcomeKind.OUT_OF_MEMORY


def test_executor_task_within_its_memory_lives(bench):
    assert bench.run("hold", {"bytes": 40 * MIB}, memory_mb=120).value == 40 * MIB


def test_executor_large_files_of_a_task_are_no_memory(bench):
    def place(method, params):
        with open(f"{services.scratch}/read", "xb") as file:
            file.truncate(300 * MIB)
            os.fchmod(file.fileno(), 0o644)
        names = ("metadata", "custom_metadata", "custom_tags", "file")
        return {"scratch": "read", "owned": True, "fileName": "large", **dict.fromkeys(names)}

    services = Services(place)
    outcome = bench.run("download", {"mib": 300}, services=services, memory_mb=128)
    assert outcome.value == {"size": 300 * MIB, "written": 300 * MIB}


def test_executor_limit_is_each_tasks_own(bench):
    assert bench.run("hold", {"bytes": 150 * MIB}, memory_mb=300).succeeded
    assert bench.run("hold", {"bytes": 150 * MIB}, memory_mb=100).kind is OutcomeKind.OUT_OF_MEMORY
    assert bench.run("hold", {"bytes": 150 * MIB}, memory_mb=300).succeeded
    assert bench.run("hold", {"bytes": 150 * MIB}, memory_mb=None).succeeded


def test_executor_memory_error_is_out_of_memory(bench):
    outcome = bench.run("ask_for_too_much")
    assert outcome.kind is OutcomeKind.OUT_OF_MEMORY
    assert "in ask_for_too_much" in outcome.traceback


def test_executor_limit_below_what_python_needs_is_out_of_memory(bench):
    assert bench.run("echo", 1, memory_mb=1).kind is OutcomeKind.OUT_OF_MEMORY
    assert bench.run("echo", 1).succeeded

"""Every task finds a fresh place, and nothing of the platform's."""

import os

import pytest

from stepline.model.task import Isolation

# What an image sets comes to these.
VARIABLES = {"GIVEN", "HOME", "LANG", "PATH", "STEPLINE_TASK_MARK", "TMPDIR"}


def test_executor_task_starts_in_an_empty_folder_that_leads_to_its_code(bench):
    seen = bench.run("look_around").value
    assert seen["work"] == ["func"]
    assert seen["func"] == bench.code_inside


def test_executor_temporary_folder_and_home_are_fresh_and_empty(bench):
    seen = bench.run("look_around").value
    assert (seen["tmp"], seen["home"]) == ([], [])
    assert seen["tempdir"] == seen["TMPDIR"] != seen["cwd"]


def test_executor_environment_holds_only_what_is_documented(bench, monkeypatch):
    seen = bench.run("look_around").value["environ"]
    extra = {name for name in seen if name not in VARIABLES and not name.startswith("LC_")}
    assert extra - bench.image_variables == set()
    assert seen["GIVEN"] == "1"
    assert "/usr/bin" in seen["PATH"].split(":")


def test_executor_task_has_a_session_and_a_process_group_of_its_own(bench):
    pid, session, group = bench.run("look_around").value["session"]
    if bench.isolation is not Isolation.REUSE:
        assert pid == session == group
    assert session != os.getsid(0)


def test_executor_task_gets_no_descriptors_of_the_platform(bench):
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    try:
        seen = bench.run("look_around").value["open"]
    finally:
        os.close(reading)
        os.close(writing)
    # Standard streams, the line to the worker, the listing itself; a template has its own line.
    assert len(seen) <= 5 + (bench.isolation is Isolation.REUSE)


def test_executor_standard_input_is_empty(bench):
    assert bench.run("look_around").value["stdin"] == ""


def test_executor_signals_are_as_in_any_process(bench):
    assert bench.run("signals").value == {"int": True, "term": True, "child": True}


def test_executor_module_state_ends_with_the_task_unless_it_is_reused(own_bench):
    counts = [own_bench.run("count_calls").value for _ in range(3)]
    assert counts == ([1, 2, 3] if own_bench.isolation is Isolation.REUSE else [1, 1, 1])


def test_executor_random_numbers_differ_between_tasks(bench):
    assert len({bench.run("draw").value for _ in range(4)}) == 4


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_executor_pool_of_processes_works(bench, method):
    assert bench.run("use_pool", {"method": method}).value == [1, 4, 9]

"""What a task prints arrives: in order, with times, within bounds."""

import re

import pytest

from tests.support.executors import Services, wait_until

MIB = 1024 * 1024


def test_executor_prints_are_in_order_with_those_of_subprocesses(bench):
    services = Services()
    bench.run("print_in_turn", services=services)
    expected = [text for n in range(5) for text in (f"mine {n}", f"child {n}")]
    assert services.texts() == expected


def test_executor_lines_carry_times_and_arrive_while_the_task_runs(bench):
    services = Services()
    outcome = bench.run("print_slowly", services=services)
    times = [line.at for line in services.lines]
    assert times == sorted(times)
    assert 0.08 < times[-1] - times[0] < 5
    assert services.started_at - 0.01 <= times[0] <= outcome.value


def test_executor_output_that_is_not_utf_8_is_kept_as_far_as_it_goes(bench):
    services = Services()
    assert bench.run("print_odd_bytes", services=services).succeeded
    assert services.texts("out") == ["caf\N{REPLACEMENT CHARACTER}", "no end"]
    assert services.texts("err") == ["to err"]


def test_executor_unfinished_line_is_kept_when_the_task_exits(bench):
    services = Services()
    assert bench.run("print_and_leave", services=services).exit_code == 3
    assert services.texts() == ["before the end"]


def test_executor_output_of_c_code_is_kept(bench):
    services = Services()
    assert bench.run("print_from_c", services=services).succeeded
    assert services.texts() == ["from C"]


@pytest.mark.parametrize("character", ["x", "\N{SNOWMAN}"])
def test_executor_long_line_comes_in_parts_without_damage(bench, character):
    services = Services()
    count = 10 * MIB // len(character.encode())
    value = {"character": character, "count": count}
    assert bench.run("print_long_line", value, services=services, log_bytes=None).succeeded
    assert "".join(services.texts()) == character * count
    assert [line.ended for line in services.lines] == [False] * (len(services.lines) - 1) + [True]
    assert max(len(line.text.encode()) for line in services.lines) <= 65536


def test_executor_output_over_the_limit_is_counted_and_dropped(bench):
    services = Services()
    outcome = bench.run("print_bytes", {"lines": MIB}, services=services, log_bytes=MIB)
    assert outcome.value == "done"
    kept = [line for line in services.lines if line.text == "x" * 99]
    note = services.lines[-1]
    assert len(kept) == MIB // (99 + 64)
    assert note.text == f"output over the limit: {100 * (MIB - len(kept))} bytes were dropped"
    assert (len(services.lines), note.stream) == (len(kept) + 1, "err")


def test_executor_task_without_output_has_no_lines(bench):
    bench.run("echo", 1)  # takes what an import may have printed
    services = Services()
    bench.run("echo", 1, services=services)
    assert services.lines == []


def test_executor_child_that_keeps_the_output_open_does_not_hold_the_task(bench):
    path = bench.shared() / "pid"
    script = f"echo from the child; echo $$ > {path}; exec sleep 600"
    services = Services()
    outcome = bench.run("leave_child", {"script": script, "path": str(path)}, services=services)
    assert outcome.succeeded
    assert outcome.duration_s < 10
    assert services.texts() == ["from the child"]


def test_executor_what_a_task_does_to_its_output_is_undone_for_the_next(bench):
    assert bench.run("unblock_output").succeeded
    services = Services()
    assert bench.run("print_bytes", {"lines": 10_000}, services=services).value == "done"
    assert len(services.lines) == 10_000


def test_executor_left_process_writes_into_no_other_tasks_log(bench):
    """But for the children of a process that many tasks share: those are the next one's too."""
    folder = bench.shared()
    path = folder / "pid"
    stop = folder / "stop"
    script = f"echo $$ > {path}; while [ ! -e {stop} ]; do echo late; sleep 0.01; done; rm {stop}"
    bench.run("leave_daemon", {"path": str(folder / "daemon")})
    bench.run("leave_child", {"script": script, "path": str(path)})
    services = Services()
    bench.run("print_slowly", services=services)
    if bench.keeps_children:
        stop.touch()
        assert wait_until(lambda: not stop.exists())
    others = {"late"} if bench.keeps_children else set()
    assert [text for text in services.texts() if text not in others] == ["0", "1", "2"]


def test_executor_log_lines_are_structured_records_where_the_logger_is_used(bench):
    services = Services()
    bench.run("fatal", services=services)
    assert re.match(r'\{.*"level": "error"', services.texts()[0])


def test_executor_left_thread_ends_with_the_task(bench):
    outcome = bench.run("leave_thread")
    assert outcome.value == "done"
    assert outcome.duration_s < 10

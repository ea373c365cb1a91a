"""The benchmark harness, on processes and figures whose outcome is known."""

import json
import re
import resource
import sys

import pytest

import benchmarks
from benchmarks import __main__ as command
from benchmarks import harness
from benchmarks.harness import Command, Comparison, Recorder, compare


def accept(sample):
    """Verify nothing."""


def python(code, verify=accept):
    """A command that runs code in a bare interpreter."""
    return Command([sys.executable, "-S", "-c", code], verify)


def test_command_run_measures_time_and_output():
    sample = python("import time; time.sleep(0.2); print('done')").run()
    assert 0.2 <= sample.seconds < 20
    assert sample.stdout == b"done\n"


def test_command_run_peak_covers_a_waited_for_child():
    code = "bytearray(300_000_000)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True)"
    # A new process starts from the size of this one, which by now may have run many tests.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    peak = python(parent).run().peak_bytes
    assert 300_000_000 < peak < max(300_000_000, own) + 100_000_000


def test_command_run_failing_process_raises_its_words():
    with pytest.raises(RuntimeError, match=r"ended with 3.*no such luck"):
        python("import sys; sys.stderr.write('no such luck'); sys.exit(3)").run()


def test_command_run_wrong_output_raises():
    def verify(sample):
        assert sample.stdout == b"right"

    with pytest.raises(AssertionError):
        python("print('wrong')", verify).run()


def test_command_run_over_the_time_limit_is_ended(monkeypatch):
    monkeypatch.setattr(harness, "TIMEOUT_S", 0.2)
    with pytest.raises(RuntimeError, match="ended with -9"):
        python("import time; time.sleep(60)").run()


def test_compare_runs_in_turn_and_leaves_warmups_out():
    order = []
    costs = iter([100.0, 1.0, 6.0, 2.0, 8.0, 2.0])

    def step(name):
        order.append(name)
        return next(costs)

    found = compare(lambda: step("subject"), lambda: step("floor"), runs=2)
    assert order == ["subject", "floor"] * 3
    assert found == Comparison([6.0, 8.0], [2.0, 2.0])


def test_comparison_gives_the_ratio_of_medians_and_the_spread():
    found = Comparison([2.0, 4.0, 9.0], [1.0, 1.0, 3.0])
    assert found.ratio == 4.0
    assert found.spread == (2.0, 4.0)


def test_comparison_spread_of_many_runs_leaves_out_the_ends():
    found = Comparison([float(n) for n in range(101)], [1.0] * 101)
    assert found.spread == pytest.approx((10.0, 90.0))


def test_record_limit_is_value_over_limit_with_bar_one():
    recorder = Recorder()
    recorder.record_limit("memory", [30.0, 45.0, 33.0], limit=60.0, goal=30.0)
    [row] = recorder.rows()
    expected = {"name": "memory", "ratio": 0.55, "bar": 1.0, "goal": 0.5, "runs": 3}
    assert row == {**expected, "spread": (0.5, 0.75)}


def test_recorder_same_name_twice_raises():
    recorder = Recorder()
    recorder.record("start", Comparison([1.0], [1.0]), bar=2)
    with pytest.raises(ValueError, match="'start'"):
        recorder.record("start", Comparison([1.0], [1.0]), bar=2)


def test_recorder_table_marks_what_is_over_its_bar():
    recorder = Recorder()
    recorder.record("start", Comparison([3.0], [1.0]), bar=6, goal=4.5)
    recorder.record("chain", Comparison([2.0], [1.0]), bar=1.5)
    _, start, chain = recorder.table().splitlines()
    assert re.fullmatch(r"start +3\.00 +6\.00 +4\.50 +1 +3\.00 to 3\.00", start)
    assert re.fullmatch(r"chain +2\.00 +1\.50 +- +1 +2\.00 to 2\.00 +OVER", chain)


@pytest.fixture
def bench_folder(tmp_path, monkeypatch):
    """A folder that the command finds benchmarks in, with one that keeps its bar and one not."""
    text = (
        "from benchmarks.harness import Comparison\n\n\ndef run(recorder):\n"
        "    recorder.record({!r}, Comparison([{}], [1.0]), bar=2)\n"
    )
    tmp_path.joinpath("bench_house_good.py").write_text(text.format("good", 1.0))
    tmp_path.joinpath("bench_house_over.py").write_text(text.format("over", 3.0))
    monkeypatch.setattr(benchmarks, "__path__", [str(tmp_path)])
    monkeypatch.setattr(command, "RESULTS", tmp_path / "out" / "results.json")
    return tmp_path


def test_main_writes_every_result_and_fails_over_a_bar(bench_folder, capsys):
    assert command.main([]) == 1
    rows = json.loads(command.RESULTS.read_text())
    assert [(row["name"], row["ratio"]) for row in rows] == [("good", 1.0), ("over", 3.0)]
    assert "OVER" in capsys.readouterr().out


def test_main_of_one_name_runs_that_and_writes_nothing(bench_folder, capsys):
    assert command.main(["good"]) == 0
    assert "over" not in capsys.readouterr().out
    assert not command.RESULTS.exists()

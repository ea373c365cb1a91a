"""What happens when a task script cannot be loaded."""

import shutil
from dataclasses import replace

import pytest

from stepline.model.task import Limits, OutcomeKind
from tests.support.executors import OUTCOMES, Services, attempt


def test_executor_missing_module_is_named_with_the_line_that_imports_it(bench):
    outcome = bench.run("import_missing.f")
    assert outcome.kind is OutcomeKind.IMPORT_FAILED
    assert outcome.message == "No module named 'stepline_no_such_module'"
    lines = outcome.traceback.splitlines()
    assert lines[1] == '  File "func/import_missing.py", line 3, in <module>'
    assert lines[-1].startswith("ModuleNotFoundError")


def test_executor_exception_at_import_starts_in_the_users_module(bench):
    outcome = bench.run("import_raises.f")
    assert (outcome.kind, outcome.message) == (OutcomeKind.IMPORT_FAILED, "no licence")
    assert (
        outcome.traceback.splitlines()[1] == '  File "func/import_raises.py", line 8, in <module>'
    )


def test_executor_syntax_error_shows_file_and_line(bench, tmp_path):
    code = tmp_path / "broken"
    shutil.copytree(OUTCOMES, code)
    (code / "broken.py").write_text("def f(input, context):\n    return 1 +\n")
    outcome = bench.of(code).run("broken.f")
    assert outcome.kind is OutcomeKind.IMPORT_FAILED
    assert "invalid syntax" in outcome.message
    assert 'File "func/broken.py", line 2' in outcome.traceback


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nothing", "module 'main' (func/main.py) has no function 'nothing'"),
        ("calls_of_this_module", "module 'main' (func/main.py) has no function"),
        ("no_such_file.f", "No module named 'no_such_file'"),
    ],
)
def test_executor_missing_function_is_named(bench, function, message):
    outcome = bench.run(function)
    assert outcome.kind is OutcomeKind.IMPORT_FAILED
    assert outcome.message.startswith(message)
    assert outcome.traceback == "" or "no_such_file" in outcome.traceback


@pytest.mark.parametrize(
    ("function", "kind", "number"),
    [
        ("import_exits.f", OutcomeKind.EXITED, 5),
        ("import_ends.f", OutcomeKind.EXITED, 6),
        ("import_crashes.f", OutcomeKind.KILLED, 11),
    ],
)
def test_executor_import_that_ends_the_process_is_told_like_any_end(bench, function, kind, number):
    for _ in range(2):
        outcome = bench.run(function)
        assert outcome.kind is kind
        assert number in (outcome.exit_code, outcome.signal)


def test_executor_import_without_end_is_timed_out(bench):
    for _ in range(2):
        outcome = bench.run("import_spins.f", timeout_s=0.5)
        assert outcome.kind is OutcomeKind.TIMED_OUT
        assert outcome.message == "the task ran longer than 0.5 s"
        assert 0.5 <= outcome.duration_s < 5


def test_executor_import_that_eats_memory_is_out_of_memory(bench):
    for _ in range(2):
        assert bench.run("import_eats.f", memory_mb=100).kind is OutcomeKind.OUT_OF_MEMORY


def test_executor_output_of_an_import_is_the_tasks(bench):
    services = Services()
    assert bench.run("import_prints.f", services=services).succeeded
    texts = services.texts()
    assert texts[0] == "imported 0"
    assert texts[-2:] == ["imported 19999", "called"]


def test_executor_import_that_meddles_does_not_stop_tasks(bench):
    path = bench.shared() / "pid"
    for _ in range(2):
        assert bench.run("import_meddles.f", timeout_s=20).succeeded
        assert bench.run("leave_daemon", {"path": str(path)}, timeout_s=20).succeeded


def test_executor_module_imported_late_is_found_by_every_task(bench):
    assert [bench.run("import_late").value for _ in range(2)] == ["late", "late"]


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        ("import_prints.f", OutcomeKind.RETURNED),
        ("import_missing.f", OutcomeKind.IMPORT_FAILED),
        ("main.no_such_function", OutcomeKind.IMPORT_FAILED),
        ("import_exits.f", OutcomeKind.EXITED),
        ("import_crashes.f", OutcomeKind.KILLED),
        ("import_spins.f", OutcomeKind.TIMED_OUT),
    ],
)
def test_executor_import_only_ends_as_the_import_does(bench, function, kind):
    request = bench.request(function, limits=Limits(timeout_s=2.0))
    request = replace(request, import_only=True)
    outcome = attempt(bench.executor, bench.version(function), request, Services())
    assert outcome.kind is kind


def test_executor_import_only_does_not_call_the_function(bench):
    services = Services()
    request = replace(bench.request("import_prints.f"), import_only=True)
    version = bench.version("import_prints.f")
    outcome = attempt(bench.executor, version, request, services)
    assert outcome.succeeded
    assert outcome.value == {}
    assert services.started_at is None
    assert "called" not in services.texts()

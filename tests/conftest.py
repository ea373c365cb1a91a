"""Rules of the whole suite: what STEPLINE_REQUIRE names must run, and what each part cost."""

import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath

import hypothesis
import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the process, and refuse names in STEPLINE_REQUIRE that no test could carry."""
    # What the tests start inherits them, also below a program that ignores them, such as nohup,
    # or a shell that started us in the background.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The machine may be busy with other tests: what takes long is bounded elsewhere.
    hypothesis.settings.register_profile("suite", deadline=None)
    hypothesis.settings.load_profile("suite")
    known = {line.split(":")[0].split("(")[0] for line in config.getini("markers")}
    unknown = required_markers() - known
    if unknown:
        raise pytest.UsageError(f"STEPLINE_REQUIRE names unknown markers: {', '.join(unknown)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Turn the skip of a test that carries a required marker into a failure."""
    report = yield
    carried = required_markers() & {mark.name for mark in item.iter_markers()}
    if report.skipped and carried and not hasattr(report, "wasxfail"):
        fail_skipped(report, f"STEPLINE_REQUIRE={','.join(sorted(carried))}")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """Refuse the skip of a whole module where anything is required: its markers are unknown."""
    report = yield
    if report.skipped and required_markers():
        fail_skipped(report, "STEPLINE_REQUIRE is set; skip in a fixture or by a marker")
    return report


def required_markers() -> set[str]:
    """Return the markers in STEPLINE_REQUIRE, a list with commas."""
    return {name.strip() for name in os.environ.get("STEPLINE_REQUIRE", "").split(",")} - {""}


def fail_skipped(report: pytest.TestReport | pytest.CollectReport, why: str) -> None:
    """Make a skipped report a failed one that keeps the skip's reason."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"must not be skipped ({why}): {reason}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how long each part of the suite took, and on which Pythons there were tests."""
    seconds: dict[str, float] = defaultdict(float)
    tests: dict[str, set[str]] = defaultdict(set)
    pythons: dict[str, None] = {}
    for report in (report for group in terminalreporter.stats.values() for report in group):
        if isinstance(report, pytest.TestReport):
            part = part_of(report.nodeid)
            seconds[part] += report.duration
            tests[part].add(report.nodeid)
            pythons.update((v, None) for name, v in report.user_properties if name == "python")
    if pythons:
        terminalreporter.line(f"other Pythons: {', '.join(pythons)}")
    processes = terminalreporter.config.getoption("numprocesses", None) or 1
    if processes > 1:
        terminalreporter.line(
            f"seconds of {processes} processes, which share the machine, added up:"
        )
    for part in sorted(seconds):
        terminalreporter.line(f"{part}: {len(tests[part])} tests in {seconds[part]:.1f} s")


def part_of(nodeid: str) -> str:
    """Return the folder of ``tests`` that a test belongs to, such as ``unit``."""
    parts = PurePosixPath(nodeid.split("::")[0]).parts
    return parts[1] if len(parts) > 2 and parts[0] == "tests" else "other"

"""How the self-test shows what it found."""

import json

import pytest
from click.testing import CliRunner

from stepline.cli.selftest import command
from stepline.errors import SettingsError
from stepline.server.selftest import crash
from stepline.server.selftest.findings import Findings, Kind
from stepline.server.selftest.points import Point, Side


@pytest.fixture
def show(monkeypatch):
    """Run the command on a report with some findings; returns its code and what it printed."""

    def show(*words, lost=0):
        def test(base, cache, *, options, tell):
            findings = Findings()
            findings.add(Kind.EVENTS_LOST, *(f"file {number}" for number in range(lost)))
            points = [Point("it", side) for side in Side]
            return crash.CrashReport(
                options=options, kills=9, points=points, files=7, seconds=3.0, findings=findings
            )

        monkeypatch.setattr(crash, "crash_test", test)
        result = CliRunner().invoke(command, ["--crash", *words], standalone_mode=False)
        return result.return_value, result.stdout

    return show


def test_selftest_without_losses_succeeds(show):
    code, printed = show("--every-point")
    assert code == 0
    assert printed.startswith("7 files sent, 9 kills, 3 s\n1 commit points, each just before")
    assert [line.split()[0] for line in printed.splitlines()[2 : 2 + len(Kind)]] == ["0"] * len(
        Kind
    )


def test_selftest_with_losses_fails_and_shows_the_first(show):
    code, printed = show(lost=7)
    assert code == 1
    assert "       7  events lost\n" in printed
    assert "\nevents lost:\n  file 0\n" in printed
    assert "  file 4\n  ... and 2 more\n" in printed


def test_selftest_as_json_has_every_count_and_finding(show):
    code, printed = show("--json", "--seed", "5", lost=1)
    report = json.loads(printed)
    assert (code, report["seed"], report["findings"]) == (1, 5, {"events lost": ["file 0"]})
    assert report["counts"] == {kind.value: int(kind is Kind.EVENTS_LOST) for kind in Kind}
    assert report["commitPoints"] == ["it"]


def test_selftest_removes_its_folder_unless_told_to_keep_it(show, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    show()
    assert list(tmp_path.iterdir()) == []
    show("--keep")
    assert len(list(tmp_path.iterdir())) == 1


def test_selftest_without_a_test_says_which_there_is():
    result = CliRunner().invoke(command, [], standalone_mode=False)
    assert isinstance(result.exception, SettingsError)
    assert result.exception.hint == "use: stepline selftest --crash"

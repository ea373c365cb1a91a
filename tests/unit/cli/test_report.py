"""Errors on the terminal show no secret that this process has read."""

import pytest

from stepline.app import masking
from stepline.app.masking import remember_for_reports
from stepline.cli.report import print_problems, report_error
from stepline.errors import ConfigError, Location, PlatformError, Problem, UserError

VALUE = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    """A process that has read a secret."""
    monkeypatch.setattr(masking, "_read_by_process", set())
    remember_for_reports(VALUE)


def test_report_error_masks_what_where_and_hint(capsys):
    error = ConfigError(f"not {VALUE}", where=Location(f"a/{VALUE}.yml", 3), hint=f"no {VALUE}")
    assert report_error(error) == 2
    assert capsys.readouterr().err == "a/***.yml:3: error: not ***\n  hint: no ***\n"


def test_report_error_masks_problems_and_the_lines_at_fault(capsys, tmp_path):
    file = tmp_path / "p.yml"
    file.write_text(f"a: {VALUE}\n")
    problem = Problem("x", f"not {VALUE}", Location(str(file), 1, 4), hint=f"no {VALUE}")
    report_error(UserError("bad", problems=[problem]))
    print_problems([problem])
    out, err = capsys.readouterr()
    for shown in (out, err):
        assert "not ***" in shown
        assert "a: ***" in shown
        assert "hunter2" not in shown


def test_report_error_masks_a_fault_of_stepline_with_its_traceback(capsys):
    try:
        raise RuntimeError(f"cannot use {VALUE}") from KeyError(VALUE)
    except RuntimeError as error:
        code = report_error(error)
    shown = capsys.readouterr().err
    assert code == 3
    assert "KeyError: '***'" in shown
    assert "error: Stepline itself failed: RuntimeError: cannot use ***" in shown
    assert "hunter2" not in shown


def test_report_error_without_a_secret_in_it_stays_as_it_is(capsys):
    assert report_error(PlatformError("no space", hint="free some")) == 3
    assert capsys.readouterr().err == "error: no space\n  hint: free some\n"

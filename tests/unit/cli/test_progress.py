"""Progress as plain lines, which logs of other systems keep."""

import io
import json

import pytest

from stepline.app.attempts import AttemptRecord
from stepline.app.workflow_runner import Attempt
from stepline.cli import progress
from stepline.cli.progress import PlainProgress, make_progress, readable
from stepline.model.task import OutcomeKind, TaskOutcome
from stepline.ports.executor import LogLine


def record(kind=OutcomeKind.RETURNED, **outcome):
    return AttemptRecord(
        outcome=TaskOutcome(kind, duration_s=1.234, **outcome),
        reads=(),
        written=(),
        environment="sha256:e",
        started_at=None,
    )


@pytest.fixture
def file():
    return io.StringIO()


@pytest.fixture
def plain(file):
    return PlainProgress(["decode", "push"], file)


def test_plain_progress_of_a_step_that_succeeds(plain, file):
    plain.attempt_started(Attempt(1, 1))
    plain.log(Attempt(1, 1), LogLine(at=1.0, stream="out", text="50 %"))
    plain.attempt_finished(Attempt(1, 1), record())
    plain.close()
    assert file.getvalue() == "[2/2] push\n  | 50 %\n  done in 1.23 s\n"


def test_plain_progress_of_a_step_that_fails_and_is_retried(plain, file):
    failure = record(OutcomeKind.RAISED, message="no plate", traceback="Traceback …\n  File …\n")
    plain.attempt_started(Attempt(0, 1))
    plain.attempt_finished(Attempt(0, 1), failure)
    plain.retry_scheduled(0, 2.5)
    plain.attempt_started(Attempt(0, 2))
    assert file.getvalue().splitlines() == [
        "[1/2] decode",
        "  failed after 1.23 s: no plate",
        "  Traceback …",
        "    File …",
        "  again in 2.5 s",
        "[1/2] decode, attempt 2",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words", "plain words"),
        ('{"level": "info", "message": "decoded"}', "INFO decoded"),
        (
            json.dumps({"level": "error", "message": "x", "codeMessage": "E1", "extra": 1}),
            "ERROR [E1] x",
        ),
        ('{"level": "info", "message": "x", "codeMessage": ""}', "INFO x"),
        ('{"message": "no level"}', '{"message": "no level"}'),
        ('{"level": 1, "message": "x"}', '{"level": 1, "message": "x"}'),
        ('{"a": 1', '{"a": 1'),
        ('{"a": ' + "[" * 100_000, None),
        ('["level", "message"]', '["level", "message"]'),
        ("", ""),
    ],
    ids=[
        *("words", "record", "code", "empty code", "no level", "number", "cut", "deep"),
        *("list", "nothing"),
    ],
)
def test_readable_shows_a_loggers_record_as_level_and_message(text, shown):
    assert readable(text) == (text if shown is None else shown)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_make_progress_without_a_terminal_prints_plain_lines(monkeypatch, file):
    monkeypatch.setattr(progress.sys, "stdout", file)
    monkeypatch.setattr(progress.sys, "stderr", Terminal())
    made = make_progress(["a"], json_output=False)
    made.attempt_started(Attempt(0, 1))
    assert file.getvalue() == "[1/1] a\n"


def test_make_progress_for_json_leaves_standard_output_alone(monkeypatch, file):
    monkeypatch.setattr(progress.sys, "stdout", Terminal())
    monkeypatch.setattr(progress.sys, "stderr", file)
    make_progress(["a"], json_output=True).attempt_started(Attempt(0, 1))
    assert file.getvalue() == "[1/1] a\n"


def test_make_progress_on_a_terminal_draws(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(progress.sys, "stdout", terminal)
    made = make_progress(["decode"], json_output=False)
    made.close()
    assert terminal.getvalue() == ""
    made.attempt_started(Attempt(0, 1))
    made.attempt_finished(Attempt(0, 1), record())
    made.close()
    assert "decode" in terminal.getvalue()

"""Progress of a workflow, as plain lines or drawn live on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Protocol, TextIO

import click

from stepline.app.attempts import AttemptRecord
from stepline.app.workflow_runner import Attempt, Reporter
from stepline.ports.executor import LogLine

_SHOWN_MEMBERS = ("level", "message")


class Progress(Reporter, Protocol):
    """A reporter that holds the terminal until it is closed."""

    def close(self) -> None:
        """Give the terminal back."""


class PlainProgress:
    """Prints a line when a step begins, ends, or prints one itself.

    Args:
        names: The steps' names, in order.
        file: Where the lines go.
    """

    def __init__(self, names: Sequence[str], file: TextIO) -> None:
        self._names = names
        self._file = file

    def attempt_started(self, attempt: Attempt) -> None:
        """Print the step's name."""
        again = f", attempt {attempt.number}" if attempt.number > 1 else ""
        step = attempt.step
        self._print(f"[{step + 1}/{len(self._names)}] {self._names[step]}{again}")

    def log(self, attempt: Attempt, line: LogLine) -> None:
        """Print a line of the task's output."""
        self._print(f"  | {readable(line.text)}")

    def attempt_finished(self, attempt: Attempt, record: AttemptRecord) -> None:
        """Print how the attempt ended."""
        outcome = record.outcome
        if outcome.succeeded:
            self._print(f"  done in {outcome.duration_s:.2f} s")
            return
        self._print(f"  failed after {outcome.duration_s:.2f} s: {outcome.message}")
        for line in outcome.traceback.splitlines():
            self._print(f"  {line}")

    def retry_scheduled(self, step: int, delay_s: float) -> None:
        """Print when the next attempt begins."""
        self._print(f"  again in {delay_s:.1f} s")

    def close(self) -> None:
        """Nothing is held."""

    def _print(self, text: str) -> None:
        click.echo(text, file=self._file)


def readable(text: str) -> str:
    """Return a structured logger's record as ``LEVEL message``; other lines as they are."""
    if not text.startswith('{"'):
        return text
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not all(isinstance(record.get(name), str) for name in _SHOWN_MEMBERS):
        return text
    code = f" [{record['codeMessage']}]" if record.get("codeMessage") else ""
    return f"{record['level'].upper()}{code} {record['message']}"


def make_progress(names: Sequence[str], *, json_output: bool) -> Progress:
    """Return what shows a workflow's progress: live on a terminal, else plain lines."""
    file = sys.stderr if json_output else sys.stdout
    if not file.isatty():
        return PlainProgress(names, file)
    from stepline.cli.live_progress import LiveProgress

    return LiveProgress(names, file)

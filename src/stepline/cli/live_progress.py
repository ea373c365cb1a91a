"""Progress of a workflow drawn on a terminal, with rich."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from stepline.app.attempts import AttemptRecord
from stepline.app.workflow_runner import Attempt
from stepline.cli.progress import readable
from stepline.ports.executor import LogLine

_WAITING, _RUNNING, _DONE, _FAILED = "waiting", "running", "done", "failed"


class LiveProgress:
    """A line per step that changes in place; what tasks print scrolls above.

    Nothing is drawn before the first step begins: until then a person may be asked for a
    secret.

    Args:
        names: The steps' names, in order.
        file: The terminal.
    """

    def __init__(self, names: Sequence[str], file: TextIO) -> None:
        self._names = names
        self._states = [(_WAITING, "")] * len(names)
        self._began = 0.0
        self._spinner = Spinner("dots")
        self._console = Console(file=file, highlight=False)
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=10)

    def attempt_started(self, attempt: Attempt) -> None:
        """Let the step's line move."""
        self._began = time.monotonic()
        self._states[attempt.step] = (
            _RUNNING,
            f"attempt {attempt.number}" if attempt.number > 1 else "",
        )
        if not self._live.is_started:
            self._live.start()

    def log(self, attempt: Attempt, line: LogLine) -> None:
        """Print a line of the task's output above."""
        self._console.print(
            Text(f"{self._names[attempt.step]} | {readable(line.text)}", style="dim")
        )

    def attempt_finished(self, attempt: Attempt, record: AttemptRecord) -> None:
        """Show how the attempt ended."""
        outcome = record.outcome
        if outcome.succeeded:
            self._states[attempt.step] = (_DONE, f"{outcome.duration_s:.2f} s")
            return
        self._states[attempt.step] = (_FAILED, outcome.message)
        if outcome.traceback:
            self._console.print(Text(outcome.traceback.rstrip(), style="red"))

    def retry_scheduled(self, step: int, delay_s: float) -> None:
        """Show when the next attempt begins."""
        self._states[step] = (_WAITING, f"again in {delay_s:.1f} s")

    def close(self) -> None:
        """Draw for the last time, and give the terminal back."""
        self._live.stop()

    def _draw(self) -> Group:
        return Group(*(self._line(index) for index in range(len(self._names))))

    def _line(self, index: int) -> Text:
        state, note = self._states[index]
        styles = {_DONE: "green", _FAILED: "red", _RUNNING: "bold", _WAITING: "dim"}
        marks = {_DONE: "✓", _FAILED: "✗", _WAITING: "·"}
        mark = marks.get(state)
        if mark is None:
            mark = str(self._spinner.render(time.monotonic()))
            note = f"{note} {time.monotonic() - self._began:.1f} s".strip()
        return Text.assemble(f"{mark} ", (self._names[index], styles[state]), f"  {note}")

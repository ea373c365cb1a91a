"""The log of one build, as its deployer reads it while the build goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import RLock, Timer

from stepline.app.told import Told
from stepline.errors import Problem, SteplineError, UserError
from stepline.parsing.render import render_problem
from stepline.ports.state import State

MAX_OUTPUT_LINES = 5_000
_KEEP_WITHIN_S = 0.5
_MAX_LINE = 2_000
# Deploy clients take these words in a log for the end of a build that failed.
_CLIENTS_STOP_AT = "child process exited with code 1,"
_HARMLESS = "child process exited with code 1;"


class BuildLog:
    """Collects lines, and makes them last; output by itself within a second.

    Args:
        state: Where they go.
        build_id: The build.
        now: Returns the time, ISO 8601 in UTC.

    Attributes:
        hidden: Path of the folder that is built, which is left out of lines.
    """

    def __init__(self, state: State, build_id: str, *, now: Callable[[], str]) -> None:
        self._state = state
        self._build_id = build_id
        self._now = now
        self._lines: list[tuple[str, str]] = []
        self._count = 0
        self._told = Told()
        self._lock = RLock()
        self._timer: Timer | None = None
        self.hidden = ""

    def add(self, text: str) -> None:
        """Add the lines of a text, which last from the next `flush` on."""
        if self.hidden:
            text = text.replace(f"{self.hidden}/", "")
        at = self._now()
        lines = [(at, _storable(line)) for line in text.splitlines() if line.strip()]
        with self._lock:
            self._lines += lines

    def output(self, text: str) -> None:
        """Add what user code printed, as long as it is not too much."""
        self._count += 1
        if self._count <= MAX_OUTPUT_LINES:
            self._told.add(text)
            self.add(text)
        elif self._count == MAX_OUTPUT_LINES + 1:
            self.add(f"further output is not kept: over {MAX_OUTPUT_LINES:,} lines")
        self._flush_soon()

    def say(self, text: str) -> None:
        """Add the lines of a text, and make all lines last."""
        self.add(text)
        self.flush()

    def problems(self, problems: Sequence[Problem]) -> None:
        """Add problems, each with its place and hint."""
        for problem in problems:
            self.add(render_problem(problem))

    def error(self, error: Exception) -> None:
        """Add why a build cannot go on, without repeating its last output."""
        if isinstance(error, SteplineError):
            error.what = self._told.without(error.what)
        if isinstance(error, UserError) and error.problems:
            self.problems(error.problems)
        else:
            self.add(f"error: {error}")

    def flush(self) -> None:
        """Make all lines last."""
        with self._lock:  # until they are written, so that others' lines come after them
            lines = self.take()
            if lines:
                self._state.write(lambda tx: tx.artifacts.log_build(self._build_id, lines))

    def take(self) -> list[tuple[str, str]]:
        """Return the lines that do not last yet, for the caller to store."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            lines, self._lines = self._lines, []
        return lines

    def _flush_soon(self) -> None:
        with self._lock:
            if self._lines and self._timer is None:
                self._timer = Timer(_KEEP_WITHIN_S, self._flush_now)
                self._timer.daemon = True
                self._timer.start()

    def _flush_now(self) -> None:
        with self._lock:
            lines = list(self._lines)
            try:
                self.flush()
            except SteplineError:  # the next flush, which somebody waits for, will tell
                self._lines = lines

    def end(self, text: str) -> list[tuple[str, str]]:
        """Return the lines that do not last yet and a last one, which is always kept."""
        return [*self.take(), (self._now(), text[:_MAX_LINE])]


def _storable(line: str) -> str:
    """Return a line without what no database keeps, and without words that stop clients."""
    whole = line[:_MAX_LINE].encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    return whole.replace(_CLIENTS_STOP_AT, _HARMLESS)

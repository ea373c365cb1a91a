"""What a step of a build prints: lines for people, and the end of it for a record."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from stepline.ports.images import Tell
from stepline.workers.lines import LONGEST_LINE

_KEPT_LINES = 10_000
_KEPT_CHARACTERS = 4 * 1024 * 1024
_LONG = 2 * LONGEST_LINE
_CUT = " … (the rest of a long line is left out)"


class Output:
    """Takes what a command prints, line by line, and keeps the end of it.

    Args:
        tell: Takes each line; of a long one the begin, which `masked_lines` shortens further.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._lines: deque[str] = deque()
        self._size = 0
        self._begin = ""

    def add(self, line: str) -> None:
        """Take a line, or a piece of a long one, as `Lines` gives them."""
        goes_on = len(line) >= LONGEST_LINE
        # What a terminal would have written over is left out.
        _, over, last = (line if goes_on else line.rstrip("\r\n")).rpartition("\r")
        if over:
            self._begin = ""
        if len(self._begin) < _LONG:
            self._begin += last
        if not goes_on:
            self._end_line()

    def text(self) -> str:
        """Return what was kept."""
        if self._begin:
            self._end_line()
        return "\n".join(self._lines)

    def _end_line(self) -> None:
        line, self._begin = self._begin, ""
        self._lines.append(line)
        self._size += len(line)
        while len(self._lines) > _KEPT_LINES or self._size > _KEPT_CHARACTERS:
            self._size -= len(self._lines.popleft())
        self._tell(line)


def masked_lines(text: str, mask: Callable[[str], str]) -> str:
    """Return lines of an `Output` without secrets, whole or cut in two where a line was cut.

    Args:
        text: One line or several.
        mask: Returns a text without the secrets that are whole in it.
    """
    return mask("\n".join(_shortened(line, mask) for line in text.split("\n")))


def _shortened(line: str, mask: Callable[[str], str]) -> str:
    if len(line) < _LONG:
        return line
    # The end, longer than any secret, is left out only now: it may begin one.
    return mask(line)[:-LONGEST_LINE] + _CUT

"""Lines that people have seen, which an error need not repeat."""

from __future__ import annotations

from collections import deque

_KEPT_LINES = 200
_INTRODUCTION = "; the end of what it said"


class Told:
    """The last lines that somebody was told."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)

    def add(self, line: str) -> None:
        """Remember a line, unless it is empty."""
        if line.strip():
            self._lines.append(line)

    def without(self, what: str) -> str:
        """Return what an error says, without its further lines if those were the last told."""
        head, _, rest = what.partition("\n")
        lines = [line for line in rest.splitlines() if line.strip()]
        if not lines or list(self._lines)[-len(lines) :] != lines:
            return what
        return f"{head.removesuffix(':').removesuffix(_INTRODUCTION)}; what it said is above"

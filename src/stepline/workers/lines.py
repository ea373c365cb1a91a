"""Lines of what a program prints, however it comes."""

from __future__ import annotations

import codecs

LONGEST_LINE = 64 * 1024
"""Characters; a longer line comes in pieces of so many, and a last one with fewer."""


class Lines:
    """Cuts bytes into lines, without their ends; holds less than `LONGEST_LINE` of them back."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def feed(self, part: bytes) -> list[str]:
        """Return the lines, or pieces of one, that are whole with these further bytes."""
        *lines, rest = (self._rest + self._decoder.decode(part)).split("\n")
        found = [piece for line in lines for piece in _pieces(line.removesuffix("\r"))]
        *pieces, self._rest = _pieces(rest)
        return [*found, *pieces]

    def end(self) -> list[str]:
        """Return the last line, if it had no end."""
        rest, self._rest = self._rest + self._decoder.decode(b"", final=True), ""
        return _pieces(rest) if rest else []


def _pieces(line: str) -> list[str]:
    return [line[at : at + LONGEST_LINE] for at in range(0, len(line) + 1, LONGEST_LINE)]

"""Capture of what a task prints, line by line with times."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Union

    Line = List[Union[float, str, bool]]

CHUNK_BYTES = 64 * 1024
LONGEST_LINE_BYTES = 64 * 1024
# What a line costs besides its text: with many empty ones, that is all of it.
LINE_BYTES = 64
# No pipe holds more unless somebody with privileges made it larger.
_DRAINED_BYTES = 1024 * 1024


class Log:
    """Lines captured from all streams of one task, up to a number of bytes.

    Each line counts `LINE_BYTES` and those of its text.

    Attributes:
        lines: [seconds since the epoch, stream, text, ended] since the last `take`;
            ``ended`` is false for a part of a line over 64 KiB.
        dropped: Bytes that came after the limit.
    """

    def __init__(self, limit: int | None) -> None:
        self.lines: list[Line] = []
        self.dropped = 0
        self._left = limit
        self._at = 0.0

    @property
    def full(self) -> bool:
        """Whether the limit is reached; what comes now only counts."""
        return self._left == 0

    def tick(self) -> None:
        """Take the time for the lines that come now; it never goes backwards."""
        self._at = max(self._at, time.time())

    def add(self, stream: str, text: bytes, ended: bool) -> None:
        """Keep one line, or count its bytes as dropped."""
        if self._left is not None:
            if len(text) + LINE_BYTES > self._left:
                self.dropped += len(text) + 1
                self._left = 0
                return
            self._left -= len(text) + LINE_BYTES
        self.lines.append([self._at, stream, text.decode("utf-8", "replace"), ended])

    def note_dropped(self) -> None:
        """Add a line that says how much was dropped, if anything was."""
        if self.dropped:
            self.tick()
            text = "output over the limit: %d bytes were dropped" % self.dropped
            self.lines.append([self._at, "err", text, True])

    def take(self) -> list[Line]:
        """Return the lines so far and forget them."""
        lines, self.lines = self.lines, []
        return lines


class Stream:
    """The reading end of one output stream of a task.

    Args:
        fd: Descriptor that does not block.
        name: ``out`` or ``err``.
        log: Where lines go.
    """

    def __init__(self, fd: int, name: str, log: Log) -> None:
        self.fd = fd
        self._name = name
        self._log = log
        self._rest = b""

    def read(self) -> bool:
        """Read what is there; False at the end of the stream."""
        try:
            data = os.read(self.fd, CHUNK_BYTES)
        except BlockingIOError:
            return True
        if data:
            self.feed(data)
        else:
            self.finish()
        return bool(data)

    def drain(self) -> None:
        """Read all that is there without waiting for more; nobody reads after this."""
        for _ in range(0, _DRAINED_BYTES, CHUNK_BYTES):
            try:
                data = os.read(self.fd, CHUNK_BYTES)
            except BlockingIOError:
                break
            if not data:
                break
            self.feed(data)
        self.finish()

    def feed(self, data: bytes) -> None:
        """Take more output; the last line may be unfinished."""
        if self._log.full:
            self._log.dropped += len(self._rest) + len(data)
            self._rest = b""
            return
        self._log.tick()
        *whole, rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._log.add(self._name, self._cut(line), True)
        self._rest = self._cut(rest)

    def finish(self) -> None:
        """Keep an unfinished last line as a line."""
        if self._rest:
            self._log.tick()
            self._log.add(self._name, self._rest, True)
            self._rest = b""

    def _cut(self, line: bytes) -> bytes:
        """Add full parts of a long line; return what is left of it."""
        while len(line) > LONGEST_LINE_BYTES:
            end = _character_end(line, LONGEST_LINE_BYTES)
            self._log.add(self._name, line[:end], False)
            line = line[end:]
        return line


def _character_end(line: bytes, end: int) -> int:
    """Return ``end``, or a little less where that would cut a UTF-8 character."""
    for back in range(4):
        if line[end - back] & 0xC0 != 0x80:
            return end - back
    return end

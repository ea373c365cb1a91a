"""Capture of what a task prints, line by line with times."""

from __future__ import annotations

import os
import time

_CHUNK = 64 * 1024
_LONGEST_LINE = 64 * 1024


class Log:
    """Lines captured from all streams of one task, up to a number of bytes.

    Attributes:
        lines: [seconds since the epoch, stream, text, ended] since the last `take`;
            ``ended`` is false for a part of a line over 64 KiB.
        dropped: Bytes that came after the limit.
    """

    def __init__(self, limit: int | None) -> None:
        self.lines: list = []
        self.dropped = 0
        self._left = limit

    def add(self, stream: str, text: bytes, ended: bool) -> None:
        """Keep one line, or count its bytes as dropped."""
        size = len(text) + 1
        if self._left is not None and size > self._left:
            self.dropped += size
            self._left = 0
            return
        if self._left is not None:
            self._left -= size
        self.lines.append([time.time(), stream, text.decode("utf-8", "replace"), ended])

    def take(self) -> list:
        """Return the lines so far and forget them."""
        lines, self.lines = self.lines, []
        return lines


class Stream:
    """The reading end of one output stream of a task."""

    def __init__(self, fd: int, name: str, log: Log) -> None:
        self.fd = fd
        self._name = name
        self._log = log
        self._rest = b""

    def read(self) -> bool:
        """Read what is there; False at the end of the stream."""
        try:
            data = os.read(self.fd, _CHUNK)
        except BlockingIOError:
            return True
        if not data:
            self.finish()
            return False
        self._split(data)
        return True

    def drain(self) -> None:
        """Read all that is there without waiting for more."""
        os.set_blocking(self.fd, False)
        while True:
            try:
                data = os.read(self.fd, _CHUNK)
            except BlockingIOError:
                break
            if not data:
                break
            self._split(data)
        self.finish()

    def finish(self) -> None:
        """Keep an unfinished last line as a line."""
        if self._rest:
            self._log.add(self._name, self._rest, True)
            self._rest = b""

    def _split(self, data: bytes) -> None:
        *whole, rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._keep(line)
        while len(rest) > _LONGEST_LINE:
            self._log.add(self._name, rest[:_LONGEST_LINE], False)
            rest = rest[_LONGEST_LINE:]
        self._rest = rest

    def _keep(self, line: bytes) -> None:
        while len(line) > _LONGEST_LINE:
            self._log.add(self._name, line[:_LONGEST_LINE], False)
            line = line[_LONGEST_LINE:]
        self._log.add(self._name, line, True)

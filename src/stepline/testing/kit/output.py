"""Lines that a function prints, taken where its prints go."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any, BinaryIO, TextIO, cast

from stepline.ports.executor import LogLine

LogSink = Callable[[Sequence[LogLine]], None]


@contextmanager
def captured(sink: LogSink) -> Iterator[None]:
    """Hand each line that is printed to a sink instead.

    What other processes print goes where it went before.
    """
    out, err = _Lines("out", sink, sys.stdout), _Lines("err", sink, sys.stderr)
    with ExitStack() as stack:
        for lines in (out, err):
            stack.callback(lines.finish)
        stack.enter_context(redirect_stdout(out.text))
        stack.enter_context(redirect_stderr(err.text))
        yield


class _Lines(io.RawIOBase):
    """The receiving end of a text stream."""

    def __init__(self, name: str, sink: LogSink, replaced: TextIO) -> None:
        self._name = name
        self._sink = sink
        self._replaced = replaced
        self._rest = b""
        # Without a buffer between, so that lines of both streams stay in order. The wrapper
        # asks for no more of it than a raw stream has.
        self.text = io.TextIOWrapper(cast("BinaryIO", self), encoding="utf-8", write_through=True)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        # For a child process that is given this stream.
        return self._replaced.fileno()

    def write(self, data: Any) -> int:
        *whole, self._rest = (self._rest + bytes(data)).split(b"\n")
        for line in whole:
            self._send(line)
        return len(data)

    def finish(self) -> None:
        """Hand over all that is held, an unfinished last line too."""
        self.text.flush()
        if self._rest:
            self._send(self._rest)
            self._rest = b""

    def _send(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        self._sink([LogLine(at=time.time(), stream=self._name, text=text)])

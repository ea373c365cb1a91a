"""What a container prints, read from the attached stream while it runs."""

from __future__ import annotations

import codecs
import threading
from collections.abc import Callable, Iterable, Iterator

KEPT_BYTES = 64 * 1024


class Output:
    """Keeps the last that a container printed, and passes on the rest to who follows."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._kept = b""
        self._read = 0
        self._ended = False

    def begin(self, stream: Iterable[bytes], close: Callable[[], None]) -> None:
        """Read a stream to its end, in a thread, and close it."""
        threading.Thread(target=self._take, args=(stream, close), daemon=True).start()

    def end(self) -> None:
        """Take nothing more as coming."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def text(self, *, settle_s: float = 0.0) -> str:
        """Return the last that was printed, at most `KEPT_BYTES`.

        Args:
            settle_s: Seconds to wait for the end of the stream at most.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ended, settle_s)
            return self._kept.decode(errors="replace")

    def follow(self, tell: Callable[[str], None]) -> None:
        """Pass on each line, from the first one kept, until the end."""
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        rest = ""
        for part in self._parts():
            *lines, rest = (rest + decoder.decode(part)).split("\n")
            for line in lines:
                tell(line.removesuffix("\r"))
        if rest := rest + decoder.decode(b"", final=True):
            tell(rest)

    def _parts(self) -> Iterator[bytes]:
        seen = 0
        while part := self._after(seen):
            yield part[1]
            seen = part[0]

    def _after(self, seen: int) -> tuple[int, bytes] | None:
        """Wait for what comes after so many bytes; return how many there are now, and it."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._read > seen)
            fresh = min(self._read - seen, len(self._kept))
            return (self._read, self._kept[-fresh:]) if fresh else None

    def _take(self, stream: Iterable[bytes], close: Callable[[], None]) -> None:
        from docker.utils.socket import SocketError

        try:
            for part in stream:
                with self._changed:
                    self._kept = (self._kept + part)[-KEPT_BYTES:]
                    self._read += len(part)
                    self._changed.notify_all()
        except (OSError, ValueError, SocketError):  # the engine is gone, and the container with it
            pass
        finally:
            close()
            self.end()

"""What a container prints, read from the attached stream while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from stepline.workers.lines import Lines

KEPT_BYTES = 64 * 1024
# An engine may leave the stream open though the container has ended. Nothing that came for so
# long, twice, is its end then, seconds.
_QUIET_S = 5.0


class Output:
    """Keeps the last that a container printed, and passes on all of it to who follows.

    Args:
        followed: Somebody will call `follow`, and is waited for: the container cannot print
            much more than was passed on.
    """

    def __init__(self, *, followed: bool = False) -> None:
        self._changed = threading.Condition()
        self._kept = b""
        self._followed = followed
        self._waiting = b""
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

    def follow(self, tell: Callable[[str], None], *, runs: Callable[[], bool]) -> None:
        """Pass on each line until the end, from the first one, or the first one kept.

        Args:
            tell: Takes lines, and long ones in pieces, as `Lines` gives them.
            runs: Tells whether the container runs; asked where nothing comes.
        """
        with self._changed:
            if not self._followed:
                self._followed, self._waiting = True, self._kept
        lines = Lines()
        try:
            while part := self._next(runs):
                for line in lines.feed(part):
                    tell(line)
            for line in lines.end():
                tell(line)
        finally:
            self._let_go()

    def _next(self, runs: Callable[[], bool]) -> bytes:
        """Wait for what comes next; empty for the end."""
        ended_before = False
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._waiting or self._ended, _QUIET_S):
                    part, self._waiting = self._waiting, b""
                    self._changed.notify_all()
                    return part
            ended = not runs()
            if ended and ended_before:
                return b""
            ended_before = ended

    def _let_go(self) -> None:
        """Have nobody waited for any longer."""
        with self._changed:
            self._followed, self._waiting = False, b""
            self._changed.notify_all()

    def _take(self, stream: Iterable[bytes], close: Callable[[], None]) -> None:
        from docker.utils.socket import SocketError

        try:
            for part in stream:
                self._add(part)
        except (OSError, ValueError, SocketError):  # the engine is gone, and the container with it
            pass
        finally:
            close()
            self.end()

    def _add(self, part: bytes) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or len(self._waiting) < KEPT_BYTES)
            self._kept = (self._kept + part)[-KEPT_BYTES:]
            if self._followed and not self._ended:
                self._waiting += part
                self._changed.notify_all()

"""The parent of sandboxes: a thread, with whose end they would end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Spawner:
    """Starts programs from a thread that lives as long as the platform or the executor.

    A program can ask to be ended with its parent, and its parent is the very thread that
    started it. Those of tasks come and go.
    """

    def __init__(self) -> None:
        self._wanted: SimpleQueue[_Start | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def __call__(self, start: Callable[[], int]) -> int:
        """Call a function in the thread, and return or raise what it does."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, name="parent of sandboxes", daemon=True
                )
                self._thread.start()
        wanted = _Start(start)
        self._wanted.put(wanted)
        return wanted.result()

    def close(self) -> None:
        """End the thread, and what still lives of its programs."""
        with self._lock:
            if self._thread is not None:
                self._wanted.put(None)
                self._thread.join()
                self._thread = None

    def _serve(self) -> None:
        while (wanted := self._wanted.get()) is not None:
            wanted.run()


class _Start:
    """A call that another thread waits for."""

    def __init__(self, start: Callable[[], int]) -> None:
        self._start = start
        self._done = threading.Event()
        self._pid = 0
        self._error: OSError | None = None

    def run(self) -> None:
        """Make the call."""
        try:
            self._pid = self._start()
        except OSError as error:
            self._error = error
        finally:
            self._done.set()

    def result(self) -> int:
        """Wait for the call's end."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._pid

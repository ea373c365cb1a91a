"""How far an upload is, drawn beside the output where somebody looks."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stepline.cli.display import printable
from stepline.cli.transfers import Silent, Told

if TYPE_CHECKING:
    from rich.progress import Progress

# What is done sooner is not worth a line that comes and goes.
_AFTER_S = 0.4


@contextmanager
def upload_progress(name: str, *, size: int) -> Iterator[Told]:
    """Draw how far a file is, on a terminal only, until it is sent; nothing stays.

    Args:
        name: What it is called.
        size: In bytes.
    """
    if not sys.stderr.isatty():
        yield Silent()
        return
    drawn = _Drawn(printable(name), size=size)
    try:
        yield drawn
    finally:
        drawn.close()


class _Drawn:
    """A line that begins when the upload has taken a while."""

    def __init__(self, name: str, *, size: int) -> None:
        self._name = name
        self._size = size
        self._phase = ""
        self._count = 0
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._timer = threading.Timer(_AFTER_S, self._begin)
        self._timer.daemon = True
        self._timer.start()

    def phase(self, name: str, *, done: bool = False) -> None:
        """Show that something else begins, at its start or, if it has no parts, its end."""
        with self._lock:
            self._phase, self._count = name, self._size if done else 0
            self._show()

    def advance(self, count: int) -> None:
        """Show that so many more bytes are done."""
        with self._lock:
            self._count += count
            self._show()

    def close(self) -> None:
        """Remove the line."""
        self._timer.cancel()
        self._timer.join()
        if self._progress is not None:
            self._progress.stop()

    def _begin(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            DownloadColumn(binary_units=True),
            TimeElapsedColumn(),
        )
        with self._lock:
            progress = Progress(*columns, console=Console(stderr=True), transient=True)
            progress.add_task("", total=self._size)
            self._progress = progress
            self._show()
        progress.start()

    def _show(self) -> None:
        if self._progress is not None:
            task = self._progress.task_ids[0]
            words = f"{self._name}  {self._phase}"
            self._progress.update(task, description=words, completed=self._count)

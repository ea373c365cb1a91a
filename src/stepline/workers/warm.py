"""A container or sandbox with a worker in it, between tasks."""

from __future__ import annotations

from contextlib import suppress

from stepline.workers.shared import SharedFolder
from stepline.workers.worker import Worker


class WarmPlace:
    """A worker in a container or a sandbox, with the folder that they share.

    Args:
        worker: The worker.
        folder: What the place shares with the platform.
    """

    def __init__(self, worker: Worker, folder: SharedFolder) -> None:
        self.worker = worker
        self.folder = folder
        self._clean = True
        self.cancel = worker.cancel
        self.stop = worker.stop
        self.close = worker.close

    @property
    def usable(self) -> bool:
        """Whether it can take a task."""
        return self._clean and self.worker.usable

    def tidy(self) -> None:
        """Remove what a task left in the scratch folder; one that keeps something is used no more.

        Whatever a task did to the folder, its outcome is known by now and has to stay.
        """
        self._clean = False
        with suppress(OSError, RuntimeError, MemoryError, ValueError):
            self._clean = self.folder.tidy()

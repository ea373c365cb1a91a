"""A worker and a scratch folder, held for one attempt."""

from __future__ import annotations

from typing import Any

from stepline.errors import PlatformError
from stepline.model.task import TaskOutcome, TaskRequest
from stepline.ports.executor import ScriptVersion, TaskServices
from stepline.workers.pool import WorkerPool
from stepline.workers.worker import Worker


class WorkerSeat:
    """Has the attempt of a seat done by a worker.

    Args:
        worker: The worker.
        version: The task script that it serves.
        pool: Knows which tasks were cancelled.
        scratch: The shared folder, as the platform sees it.
        inside: The same folder as the worker sees it; empty where both see the same.
    """

    def __init__(
        self,
        worker: Worker,
        version: ScriptVersion,
        *,
        pool: WorkerPool[Any, Any],
        scratch: str,
        inside: str = "",
    ) -> None:
        self.scratch = scratch
        self.shares_paths = not inside
        self._worker = worker
        self._version = version
        self._pool = pool
        self._inside = inside or scratch

    def run(self, request: TaskRequest, *, services: TaskServices) -> TaskOutcome:
        """Run one attempt and wait for its end."""
        function = self._version.script.find(request.function)
        if function is None:
            raise PlatformError(f"{self._version.name} does not expose '{request.function}'")
        task_id = request.task_id
        try:
            return self._worker.run(
                request,
                function,
                services=services,
                scratch=self.scratch,
                inside=self._inside,
                cancelled=lambda: self._pool.cancelled(task_id),
            )
        finally:
            self._pool.ended(task_id)

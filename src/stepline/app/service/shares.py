"""Which queued task is next, remembering who was served when."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from stepline.engine.fairness import Head, choose
from stepline.ports.state import QueuedTask, QueueHead


class Shares:
    """Chooses among pipelines, turn by turn; several threads may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turn = 0
        self._last_served: dict[str, int] = {}

    def next(self, heads: Sequence[QueueHead]) -> QueuedTask | None:
        """Return the task that is next; None if there is none."""
        tasks = {head.task.pipeline_id: head.task for head in heads}
        shown = [
            Head(head.task.pipeline_id, priority=head.task.priority, running=head.running)
            for head in heads
        ]
        with self._lock:
            chosen = choose(shown, self._turn, last_served=self._last_served)
            if chosen is None:
                return None
            self._last_served[chosen.pipeline_id] = self._turn
            self._turn += 1
        return tasks[chosen.pipeline_id]

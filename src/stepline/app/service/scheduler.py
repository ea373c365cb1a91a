"""Starting pipelines by time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from stepline.app.service.flow import Flow
from stepline.engine.schedules import next_time
from stepline.errors import PlatformError
from stepline.model.ledger import EventKind
from stepline.model.pipeline import Pipeline, PipelineStatus, Schedule
from stepline.ports.state import State, Transaction

_LONGEST_WAIT_S = 30.0
_STOP_S = 10.0


class Scheduler:
    """Fires pipelines with a schedule; what came due while it did not run is left out.

    Args:
        state: The service's state.
        flow: The rules.
        clock: Returns seconds since the epoch.
        changed: Called after tasks may have been queued.
        report: Takes a line about what went wrong with the platform itself.
    """

    def __init__(
        self,
        state: State,
        flow: Flow,
        *,
        clock: Callable[[], float],
        changed: Callable[[], None],
        report: Callable[[str], None],
    ) -> None:
        self._state = state
        self._flow = flow
        self._clock = clock
        self._changed = changed
        self._report = report
        self._wakeup = threading.Event()
        self._stopping = False
        self._since = clock()
        self._thread = threading.Thread(target=self._serve, name="scheduler")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look at the pipelines again: one of them changed."""
        self._wakeup.set()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stopping = True
        self._wakeup.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_S)

    def fire_due(self, since: float, until: float) -> float:
        """Fire what came due after ``since`` and up to ``until``.

        Returns:
            Seconds until the next is due, at most half a minute.
        """
        with self._state.read() as view:
            scheduled = [p for p in view.pipelines.all() if isinstance(p.spec.trigger, Schedule)]
        fired = False
        for pipeline, due in due_times(scheduled, since=since):
            if due > until:
                if fired:
                    self._changed()
                return min(due - until, _LONGEST_WAIT_S)
            self._state.write(partial(self._fire, pipeline=pipeline, at=due))
            fired = True
        if fired:
            self._changed()
        return _LONGEST_WAIT_S

    def _fire(self, tx: Transaction, *, pipeline: Pipeline, at: float) -> None:
        key = datetime.fromtimestamp(at, UTC).isoformat()
        self._flow.request(tx, pipeline, kind=EventKind.SCHEDULE, key=key, record=None)

    def _serve(self) -> None:
        while not self._stopping:
            until = self._clock()
            # Set back, it comes by the same times again: they are due, and known as duplicates.
            self._since = min(self._since, until)
            try:
                wait = self.fire_due(self._since, until)
                self._since = until
            except PlatformError as error:
                self._report(f"schedules cannot be looked at: {error}")
                wait = _LONGEST_WAIT_S
            self._wakeup.wait(wait)
            self._wakeup.clear()


def due_times(pipelines: Sequence[Pipeline], *, since: float) -> list[tuple[Pipeline, float]]:
    """Return when each pipeline is due first after a moment, soonest first.

    Args:
        pipelines: Those with a schedule; disabled ones are left out.
        since: Seconds since the epoch.
    """
    moment = datetime.fromtimestamp(since, UTC)
    found = []
    for pipeline in pipelines:
        schedule = pipeline.spec.trigger
        if isinstance(schedule, Schedule) and pipeline.status is not PipelineStatus.DISABLED:
            found.append((pipeline, next_time(schedule, moment).timestamp()))
    return sorted(found, key=lambda pair: pair[1])

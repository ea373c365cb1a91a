"""Warm workers: lent to one attempt at a time, retired when nobody wants them for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from stepline.errors import PlatformError

_CLOSE_SECONDS = 15.0
IDLE_SECONDS = 300.0


class Warm(Protocol):
    """What a pool keeps: a worker, or what holds one."""

    @property
    def usable(self) -> bool:
        """Whether it can take a task."""

    def cancel(self, task_id: str) -> None:
        """Ask for the end of a task, if it is the one that runs."""

    def stop(self) -> None:
        """Ask for its own end, also in the middle of a task."""

    def close(self) -> None:
        """End it, with all that it started."""


K = TypeVar("K", bound=Hashable)
W = TypeVar("W", bound=Warm)


class WorkerPool(Generic[K, W]):
    """Workers by what they are good for; several threads may ask.

    Args:
        idle_s: Seconds after which a worker without a task is ended.
    """

    def __init__(self, *, idle_s: float = IDLE_SECONDS) -> None:
        self._changed = threading.Condition()
        # With the time since when each is, so the one longest idle is the first.
        self._idle: dict[K, list[tuple[float, W]]] = {}
        self._idle_s = idle_s
        self._retiring: threading.Thread | None = None
        self._closing = threading.Event()
        self._busy: set[W] = set()
        self._cancelled: set[str] = set()

    @contextmanager
    def lend(self, key: K, start: Callable[[], W], *, keep: bool = True) -> Iterator[W]:
        """Lend a worker; one that is not usable afterwards is closed.

        Args:
            key: What it has to be good for.
            start: Starts one where none is idle.
            keep: Whether it may be lent again.

        Raises:
            PlatformError: The pool is closed, or none can be started.
        """
        worker = (self._take_idle(key) if keep else None) or self._started(start)
        try:
            yield worker
        finally:
            usable = keep and worker.usable
            with self._changed:
                kept = usable and not self._closing.is_set()
                if kept:
                    self._keep(key, worker)
                    self._release(worker)
            if not kept:
                self._end(worker)

    def cancel(self, task_id: str) -> None:
        """End the running attempt of a task, or have `cancelled` tell of it."""
        self._cancelled.add(task_id)
        with self._changed:
            busy = list(self._busy)
        for worker in busy:
            worker.cancel(task_id)

    def cancelled(self, task_id: str) -> bool:
        """Tell whether a task was cancelled that has not ended yet."""
        return task_id in self._cancelled

    def ended(self, task_id: str) -> None:
        """Forget a task."""
        self._cancelled.discard(task_id)

    def retire(self, keys: Iterable[K]) -> None:
        """End the idle workers of some keys."""
        with self._changed:
            idle = [worker for key in keys for _, worker in self._idle.pop(key, ())]
        for worker in idle:
            worker.close()

    def close(self) -> None:
        """End all workers."""
        with self._changed:
            self._closing.set()
            idle = [worker for workers in self._idle.values() for _, worker in workers]
            self._idle.clear()
            for worker in (*self._busy, *idle):
                worker.stop()
            retiring = self._retiring
        for worker in idle:
            worker.close()
        if retiring is not None:
            retiring.join(_CLOSE_SECONDS)
        with self._changed:  # whoever waits for a task closes that worker
            self._changed.wait_for(lambda: not self._busy, timeout=_CLOSE_SECONDS)

    def _started(self, start: Callable[[], W]) -> W:
        if self._closing.is_set():
            raise PlatformError("the executor is closed", retryable=True)
        worker = start()
        with self._changed:
            self._busy.add(worker)
            if self._closing.is_set():
                worker.stop()
        return worker

    def _take_idle(self, key: K) -> W | None:
        while True:
            with self._changed:
                idle = self._idle.get(key)
                if not idle:
                    return None
                _, worker = idle.pop()
                self._busy.add(worker)
            if worker.usable:
                return worker
            self._end(worker)

    def _end(self, worker: W) -> None:
        try:
            worker.close()
        finally:
            self._release(worker)

    def _release(self, worker: W) -> None:
        with self._changed:
            self._busy.discard(worker)
            self._changed.notify_all()

    def _keep(self, key: K, worker: W) -> None:
        """Keep a worker for the next task, under the lock; from now on it may retire."""
        self._idle.setdefault(key, []).append((time.monotonic(), worker))
        if self._retiring is None:
            self._retiring = threading.Thread(
                target=self._retire_idle, name="idle workers", daemon=True
            )
            self._retiring.start()

    def _retire_idle(self) -> None:
        """End workers that have been idle for long, for as long as there are idle ones."""
        delay: float | None = self._idle_s
        while delay is not None and not self._closing.wait(delay):
            for worker in self._take_expired():
                worker.close()
            delay = self._until_next()

    def _take_expired(self) -> list[W]:
        before = time.monotonic() - self._idle_s
        with self._changed:
            idle = self._idle
            expired = [each for kept in idle.values() for since, each in kept if since <= before]
            self._idle = {
                key: left
                for key, kept in idle.items()
                if (left := [each for each in kept if each[0] > before])
            }
        return expired

    def _until_next(self) -> float | None:
        """Return the seconds until a worker may retire; None ends the thread that asks."""
        with self._changed:
            since = [kept[0][0] for kept in self._idle.values() if kept]
            if not since:
                self._retiring = None
                return None
        return max(0.0, min(since) + self._idle_s - time.monotonic())

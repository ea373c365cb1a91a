"""The executor itself: environments, and warm workers on them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from stepline.errors import PlatformError
from stepline.model.task import Isolation, TaskOutcome, TaskRequest
from stepline.plugins.executor_process.environment import Environment, Environments
from stepline.plugins.executor_process.frames import refuse_unheld
from stepline.plugins.executor_process.head_start import start_worker
from stepline.plugins.executor_process.roots import remove_forsaken, root_name
from stepline.plugins.executor_process.worker_process import WorkerProcess
from stepline.ports.executor import ExecutorOptions, ScriptVersion, TaskServices
from stepline.ports.freed import Freed

_CLOSE_SECONDS = 15.0
_IDLE_SECONDS = 300.0

_Key = tuple[str, str]


class ProcessExecutor:
    """Runs tasks in child processes of warm workers, one worker per task at a time.

    Args:
        options: How tasks are treated.
        cache_dir: Environments are kept in its ``environments``.
        environ: Environment of the platform.
        memory: How memory is limited: None for the strongest way that there is here, or
            ``watch`` for the one that works everywhere.
        idle_s: Seconds after which a worker without a task is ended.
    """

    name = "process"

    def __init__(
        self,
        options: ExecutorOptions,
        *,
        cache_dir: Path,
        environ: Mapping[str, str],
        memory: str | None = None,
        idle_s: float = _IDLE_SECONDS,
    ) -> None:
        self._options = options
        self._environments = Environments(
            cache_dir / "environments",
            environ=environ,
            allow_hooks=options.allow_before_install,
            tell=options.tell,
        )
        self._memory = memory
        self._root = root_name(environ)
        remove_forsaken(self._root)
        self._changed = threading.Condition()
        self._ready: dict[_Key, Environment] = {}
        self._using: list[ScriptVersion] = []
        # With the time since when each is, so the one longest idle is the first.
        self._idle: dict[_Key, list[tuple[float, WorkerProcess]]] = {}
        self._idle_s = idle_s
        self._retiring: threading.Thread | None = None
        self._closing = threading.Event()
        self._busy: set[WorkerProcess] = set()
        self._cancelled: set[str] = set()
        self._count = 0
        self._closed = False

    def prepare(self, version: ScriptVersion) -> str:
        """Make the version's environment, or find it made."""
        with self._used(version):
            return self._environment(version).key

    def warm_up(self, version: ScriptVersion) -> None:
        """Start a worker that has loaded the script by the time it gets a task."""
        with self._used(version), self._worker(version):
            pass

    def run(
        self, version: ScriptVersion, request: TaskRequest, *, services: TaskServices, scratch: str
    ) -> TaskOutcome:
        """Run one attempt and wait for its end."""
        function = version.script.find(request.function)
        if function is None:
            raise PlatformError(f"{version.name} does not expose '{request.function}'")
        refuse_unheld(request.limits)
        task_id = request.task_id
        try:
            with self._used(version), self._worker(version) as worker:
                return worker.run(
                    request,
                    function,
                    services=services,
                    scratch=scratch,
                    cancelled=lambda: task_id in self._cancelled,
                )
        finally:
            self._cancelled.discard(task_id)

    def cancel(self, task_id: str) -> None:
        """End the running attempt of a task, or the next one as soon as it begins."""
        self._cancelled.add(task_id)
        with self._changed:
            busy = list(self._busy)
        for worker in busy:
            worker.cancel(task_id)

    def remove_unused(
        self, versions: Sequence[ScriptVersion], *, before: float, dry_run: bool = False
    ) -> Freed:
        """Remove environments that nobody uses, nor did since a time."""
        with self._changed:
            kept = [*versions, *self._using]
            unneeded = self._ready.keys() - set(map(_key, kept))
            idle = [worker for key in unneeded for _, worker in self._idle.pop(key, ())]
            for key in unneeded:
                del self._ready[key]
        for worker in idle:
            worker.close()
        return self._environments.remove_unused(kept, before=before, dry_run=dry_run)

    def close(self) -> None:
        """End all workers and remove their folders."""
        with self._changed:
            self._closed = True
            idle = [worker for workers in self._idle.values() for _, worker in workers]
            self._idle.clear()
            for worker in (*self._busy, *idle):
                worker.stop()
            retiring = self._retiring
        self._closing.set()
        for worker in idle:
            worker.close()
        if retiring is not None:
            retiring.join(_CLOSE_SECONDS)
        with self._changed:  # whoever waits for a task closes that worker
            self._changed.wait_for(lambda: not self._busy, timeout=_CLOSE_SECONDS)
        self._environments.close()

    def _environment(self, version: ScriptVersion) -> Environment:
        key = _key(version)
        environment = self._ready.get(key)
        if environment is None:
            environment = self._ready[key] = self._environments.get(version)
        return environment

    @contextmanager
    def _used(self, version: ScriptVersion) -> Iterator[None]:
        """Let the version's environment stay meanwhile."""
        with self._changed:
            self._using.append(version)
        try:
            yield
        finally:
            with self._changed:
                self._using.remove(version)

    @contextmanager
    def _worker(self, version: ScriptVersion) -> Iterator[WorkerProcess]:
        """Lend a worker; one that is not usable afterwards is closed."""
        key = _key(version)
        worker = self._take_idle(key) or self._start(version)
        try:
            yield worker
        finally:
            with self._changed:
                keep = worker.usable and not self._closed
                if keep:
                    self._keep(key, worker)
            if not keep:
                worker.close()
            with self._changed:
                self._busy.discard(worker)
                self._changed.notify_all()

    def _take_idle(self, key: _Key) -> WorkerProcess | None:
        while True:
            with self._changed:
                idle = self._idle.get(key)
                if not idle:
                    return None
                _, worker = idle.pop()
                if worker.usable:
                    self._busy.add(worker)
                    return worker
            worker.close()

    def _keep(self, key: _Key, worker: WorkerProcess) -> None:
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

    def _take_expired(self) -> list[WorkerProcess]:
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

    def _start(self, version: ScriptVersion) -> WorkerProcess:
        environment = self._environment(version)
        with self._changed:
            if self._closed:
                raise PlatformError("the executor is closed")
            self._count += 1
            number = self._count
        modules = tuple(sorted({function.module for function in version.script.functions}))
        worker = start_worker(
            python=environment.python,
            code=environment.code,
            root=f"{self._root}-{number}",
            isolation=self._options.isolation,
            modules=modules if self._options.isolation is Isolation.FORK else (),
            task_env=dict(self._options.task_env),
            memory=self._memory,
        )
        with self._changed:
            self._busy.add(worker)
        return worker


def _key(version: ScriptVersion) -> _Key:
    return version.digest, version.runtime

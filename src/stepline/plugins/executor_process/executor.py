"""The executor itself: environments, and warm workers on them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from stepline.errors import PlatformError
from stepline.model.task import Isolation, TaskOutcome, TaskRequest
from stepline.plugins.executor_process.environment import Environment, Environments
from stepline.plugins.executor_process.worker_process import WorkerProcess
from stepline.ports.executor import ExecutorOptions, ScriptVersion, TaskServices


class ProcessExecutor:
    """Runs tasks in child processes of warm workers, one worker per task at a time.

    Args:
        options: How tasks are treated.
        cache_dir: Environments are kept in its ``environments``.
        environ: Environment of the platform.
    """

    name = "process"

    def __init__(
        self, options: ExecutorOptions, *, cache_dir: Path, environ: Mapping[str, str]
    ) -> None:
        self._options = options
        self._environments = Environments(
            cache_dir / "environments", environ=environ, allow_hooks=options.allow_before_install
        )
        temporary = environ.get("TMPDIR", "/tmp")
        self._root = os.path.join(temporary, f"stepline-{os.getpid()}-{os.urandom(4).hex()}")
        self._lock = threading.Lock()
        self._ready: dict[str, Environment] = {}
        self._idle: dict[str, list[WorkerProcess]] = {}
        self._busy: set[WorkerProcess] = set()
        self._count = 0

    def prepare(self, version: ScriptVersion) -> str:
        """Make the version's environment, or find it made."""
        environment = self._ready.get(version.digest)
        if environment is None:
            environment = self._environments.get(version)
            self._ready[version.digest] = environment
        return environment.key

    def warm_up(self, version: ScriptVersion) -> None:
        """Start a worker that has loaded the script by the time it gets a task."""
        with self._worker(version):
            pass

    def run(
        self, version: ScriptVersion, request: TaskRequest, *, services: TaskServices, scratch: str
    ) -> TaskOutcome:
        """Run one attempt and wait for its end."""
        function = version.script.find(request.function)
        if function is None:
            raise PlatformError(f"{version.name} does not expose '{request.function}'")
        request = replace(request, isolation=self._options.isolation)
        with self._worker(version) as worker:
            return worker.run(request, function, services=services, scratch=scratch)

    def cancel(self, task_id: str) -> None:
        """End a running attempt of a task."""
        with self._lock:
            busy = list(self._busy)
        for worker in busy:
            worker.cancel(task_id)

    def close(self) -> None:
        """End all workers and remove their folders."""
        with self._lock:
            workers = [*self._busy, *(w for idle in self._idle.values() for w in idle)]
            self._idle.clear()
            self._busy.clear()
        for worker in workers:
            worker.close()
        if os.path.isdir(self._root):
            os.rmdir(self._root)

    @contextmanager
    def _worker(self, version: ScriptVersion) -> Iterator[WorkerProcess]:
        with self._lock:
            idle = self._idle.setdefault(version.digest, [])
            worker = idle.pop() if idle else None
        if worker is None or not worker.alive:
            worker = self._start(version)
        with self._lock:
            self._busy.add(worker)
        try:
            yield worker
        finally:
            with self._lock:
                if worker in self._busy:  # `close` may have taken it
                    self._busy.remove(worker)
                    self._idle.setdefault(version.digest, []).append(worker)

    def _start(self, version: ScriptVersion) -> WorkerProcess:
        self.prepare(version)
        environment = self._ready[version.digest]
        with self._lock:
            self._count += 1
            number = self._count
        os.makedirs(self._root, mode=0o700, exist_ok=True)
        forked = self._options.isolation is Isolation.FORK
        modules = sorted({function.module for function in version.script.functions})
        return WorkerProcess(
            python=environment.python,
            code=environment.code,
            root=os.path.join(self._root, str(number)),
            modules=tuple(modules) if forked else (),
            task_env=self._options.task_env,
        )

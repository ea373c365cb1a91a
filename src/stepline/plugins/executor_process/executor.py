"""The executor: warm workers, each on the environment of one task script."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from stepline.model.task import Isolation, Limits
from stepline.plugins.executor_process.environment import Environment, Environments
from stepline.plugins.executor_process.head_start import start_worker
from stepline.plugins.executor_process.limits import refuse_unheld
from stepline.ports.executor import ExecutorOptions, ScriptVersion, Seat
from stepline.ports.freed import Freed
from stepline.workers.pool import IDLE_SECONDS, WorkerPool
from stepline.workers.roots import remove_forsaken, root_name
from stepline.workers.scratch import ScratchFolders
from stepline.workers.seat import WorkerSeat
from stepline.workers.worker import Worker

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
        idle_s: float = IDLE_SECONDS,
    ) -> None:
        self._options = options
        self._environments = Environments(
            cache_dir / "environments",
            environ=environ,
            allow_hooks=options.allow_before_install,
        )
        self._memory = memory
        self._root = root_name(environ)
        remove_forsaken(self._root)
        self._ready: dict[_Key, Environment] = {}
        self._changed = threading.Lock()
        self._using: list[ScriptVersion] = []
        self._numbers = itertools.count(1)
        self._pool: WorkerPool[_Key, Worker] = WorkerPool(idle_s=idle_s)
        self._scratch = ScratchFolders(options.scratch, environ)

    def prepare(
        self,
        version: ScriptVersion,
        *,
        tell: Callable[[str], None] | None = None,
        renew: bool = False,
    ) -> str:
        """Make the version's environment, or find it made."""
        del renew  # an environment is known by what it is made of
        with self._used(version):
            return self._environment(version, tell).key

    def warm_up(self, version: ScriptVersion) -> None:
        """Start a worker that has loaded the script by the time it gets a task."""
        lend = self._pool.lend(_key(version), lambda: self._start(version))
        with self._used(version), lend:
            pass

    @contextmanager
    def seat(self, version: ScriptVersion, limits: Limits) -> Iterator[Seat]:
        """Take a worker and a scratch folder for one attempt."""
        refuse_unheld(limits)
        scratch = self._scratch.take()
        try:
            key, fresh = _key(version), limits.fresh
            lend = self._pool.lend(key, lambda: self._start(version), keep=not fresh)
            with self._used(version), lend as worker:
                yield WorkerSeat(worker, version, pool=self._pool, scratch=scratch)
        finally:
            self._scratch.give_back(scratch)

    def faults(self, *, anew: bool = False) -> Sequence[str]:
        """Nothing that could be missing is needed by all tasks."""
        del anew
        return ()

    def cancel(self, task_id: str) -> None:
        """End the running attempt of a task, or the next one as soon as it begins."""
        self._pool.cancel(task_id)

    def remove_unused(
        self, versions: Sequence[ScriptVersion], *, before: float, dry_run: bool = False
    ) -> Freed:
        """Remove environments that nobody uses, nor did since a time."""
        with self._changed:
            kept = [*versions, *self._using]
            unneeded = self._ready.keys() - set(map(_key, kept))
            for key in unneeded:
                del self._ready[key]
        self._pool.retire(unneeded)
        return self._environments.remove_unused(kept, before=before, dry_run=dry_run)

    def close(self) -> None:
        """End all workers and remove their folders."""
        self._pool.close()
        self._scratch.close()
        self._environments.close()

    def _environment(
        self, version: ScriptVersion, tell: Callable[[str], None] | None = None
    ) -> Environment:
        key = _key(version)
        environment = self._ready.get(key)
        if environment is None:
            environment = self._environments.get(version, tell or self._options.tell)
            self._ready[key] = environment
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

    def _start(self, version: ScriptVersion) -> Worker:
        environment = self._environment(version)
        modules = tuple(sorted({function.module for function in version.script.functions}))
        return start_worker(
            python=environment.python,
            code=environment.code,
            root=f"{self._root}-{next(self._numbers)}",
            isolation=self._options.isolation,
            modules=modules if self._options.isolation is Isolation.FORK else (),
            task_env=dict(self._options.task_env),
            memory=self._memory,
        )


def _key(version: ScriptVersion) -> _Key:
    return version.digest, version.runtime

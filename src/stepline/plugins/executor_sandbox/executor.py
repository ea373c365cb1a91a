"""The executor: warm sandboxes, each of one image and held to the same limits."""

from __future__ import annotations

import json
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stepline.errors import PlatformError
from stepline.frozen import frozen
from stepline.model.image import Image
from stepline.model.task import Isolation, Limits
from stepline.plugins.executor_sandbox import cgroups
from stepline.plugins.executor_sandbox.bubblewrap import Bubblewrap, Sandbox, find_bubblewrap
from stepline.plugins.executor_sandbox.host import SandboxHost, hold
from stepline.plugins.executor_sandbox.limits import refuse_unheld
from stepline.plugins.executor_sandbox.spawner import Spawner
from stepline.ports.executor import ExecutorOptions, ScriptVersion, Seat
from stepline.ports.freed import Freed
from stepline.workers import inside
from stepline.workers.fitness import Fitness
from stepline.workers.held import Held
from stepline.workers.pool import IDLE_SECONDS, WorkerPool
from stepline.workers.process import START, worker_command
from stepline.workers.roots import PlatformRoot, remove_forsaken, root_name
from stepline.workers.seat import WorkerSeat
from stepline.workers.shared import SharedFolder
from stepline.workers.warm import WarmPlace
from stepline.workers.worker import Load, Worker

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MIB = 1024 * 1024
_SDK = os.path.dirname(os.path.dirname(START))
_START = f"{inside.SDK}/worker/{os.path.basename(START)}"


@frozen
class _Key:
    """What a warm sandbox is good for."""

    image: str
    modules: tuple[str, ...]
    held: Held


@frozen
class _Machine:
    """What this machine can do."""

    bubblewrap: Bubblewrap
    place: cgroups.Place


class SandboxExecutor:
    """Runs tasks in sandboxes, one task at a time in each.

    Args:
        options: How tasks are treated.
        environ: Environment of the platform.
        bubblewrap: What makes sandboxes; None to find it.
        place: Where cgroups can be made; None to find out.
        idle_s: Seconds after which a sandbox without a task is ended.
    """

    name = "sandbox"

    def __init__(
        self,
        options: ExecutorOptions,
        *,
        environ: Mapping[str, str],
        bubblewrap: Bubblewrap | None = None,
        place: cgroups.Place | None = None,
        idle_s: float = IDLE_SECONDS,
    ) -> None:
        self._options = options
        self._environ = environ
        self._given = (bubblewrap, place)
        self._lock = threading.Lock()
        self._found: _Machine | None = None
        self._fitness = Fitness(self._machine)
        self._images: dict[str, Image] = {}
        self._building: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._spawner = Spawner()
        self._folders = PlatformRoot(options.scratch, "sandbox", environ=environ)
        self._pool: WorkerPool[_Key, WarmPlace] = WorkerPool(idle_s=idle_s)

    def prepare(self, version: ScriptVersion, *, tell: Callable[[str], None] | None = None) -> str:
        """Make the version's image and its root, or find them made."""
        self._machine()
        image = self._image(version, tell or self._options.tell)
        self._options.images().root(image)
        return image.id

    def warm_up(self, version: ScriptVersion) -> None:
        """Nothing: what a first task needs depends on its limits."""

    @contextmanager
    def seat(self, version: ScriptVersion, limits: Limits) -> Iterator[Seat]:
        """Take a sandbox for one attempt."""
        machine = self._machine()
        refuse_unheld(limits, place=machine.place, bubblewrap=machine.bubblewrap)
        image = self._image(version, self._options.tell)
        key = _Key(image.id, self._modules(version), _held(limits, machine))
        start = lambda: self._start(version, key)  # noqa: E731
        with self._pool.lend(key, start, keep=not limits.fresh) as sandbox:
            try:
                yield WorkerSeat(
                    sandbox.worker,
                    version,
                    pool=self._pool,
                    scratch=sandbox.folder.scratch,
                    inside=inside.SCRATCH,
                )
            finally:
                sandbox.tidy()

    def remove_unused(
        self, versions: Sequence[ScriptVersion], *, before: float, dry_run: bool = False
    ) -> Freed:
        """Return that nothing was removed: images have a command of their own for that."""
        del versions, before, dry_run
        return Freed()

    def faults(self, *, anew: bool = False) -> Sequence[str]:
        """Return why sandboxes cannot be made here, if they cannot."""
        return self._fitness.faults(anew=anew)

    def cancel(self, task_id: str) -> None:
        """End the running attempt of a task, or the next one as soon as it begins."""
        self._pool.cancel(task_id)

    def close(self) -> None:
        """End all sandboxes and remove their folders."""
        self._pool.close()
        self._spawner.close()
        self._folders.close()

    def _machine(self) -> _Machine:
        """Find out, once, what this machine can do; remove what killed platforms left."""
        with self._lock:
            if self._found is None:
                bubblewrap = self._given[0] or find_bubblewrap(self._environ)
                place = self._given[1] or cgroups.find_place()
                cgroups.remove_forsaken(place)
                remove_forsaken(root_name(self._environ))
                self._found = _Machine(bubblewrap, place)
            return self._found

    def _image(self, version: ScriptVersion, tell: Callable[[str], None]) -> Image:
        """Return a version's image, which was there when it was last looked at."""
        with self._building[version.digest]:
            if version.digest not in self._images:
                self._images[version.digest] = self._options.images().build(version, tell=tell)
            return self._images[version.digest]

    def _modules(self, version: ScriptVersion) -> tuple[str, ...]:
        if self._options.isolation is not Isolation.FORK:
            return ()
        return tuple(sorted({function.module for function in version.script.functions}))

    def _start(self, version: ScriptVersion, key: _Key) -> WarmPlace:
        machine = self._machine()
        bubblewrap, cgroup = machine.bubblewrap, None
        image, (files, root) = self._held_root(version, key)
        with ExitStack() as left:
            left.callback(os.close, root)
            path = self._folders.new_path()
            folder = SharedFolder(path, for_user=bubblewrap.changes_user)
            left.callback(folder.remove)
            if machine.place.holds:
                cgroup = cgroups.Cgroup(machine.place, key.held)
                left.callback(cgroup.remove)
            sandbox = self._sandbox(image, files, folder=folder, held=key.held, cgroup=cgroup)
            host = SandboxHost(
                bubblewrap.command(sandbox, _worker(image, key.held)),
                given=bubblewrap.given(sandbox),
                python=f"{image.python} of {image.id}",
                cgroup=cgroup,
                start=self._spawner,
            )
            host.take(left.pop_all())
        memory = "around" if cgroup is not None and cgroup.memory else "watch"
        load = Load(image.code, self._options.isolation, key.modules, memory=memory)
        return WarmPlace(Worker(host, load), folder)

    def _held_root(self, version: ScriptVersion, key: _Key) -> tuple[Image, tuple[Path, int]]:
        """Return a version's image and its root; both are made again where they are gone."""
        images = self._options.images()
        image = self._image(version, self._options.tell)
        try:
            return image, hold(lambda: images.root(image))
        except PlatformError:
            with self._building[version.digest]:
                self._images.pop(version.digest, None)
        again = self._image(version, self._options.tell)
        if again.id != key.image:
            raise PlatformError(f"the image {key.image} is gone", retryable=True)
        return again, hold(lambda: images.root(again))

    def _sandbox(
        self,
        image: Image,
        root: Path,
        *,
        folder: SharedFolder,
        held: Held,
        cgroup: cgroups.Cgroup | None,
    ) -> Sandbox:
        return Sandbox(
            root=str(root),
            sdk=_SDK,
            task=folder.mounted,
            environ=_environment(image, held, self._options.task_env),
            network=held.network,
            tmp_bytes=_tmp_bytes(held),
            cgroup=cgroup.memory if cgroup is not None else "",
            cgroup_at=cgroup.seen_at if cgroup is not None else "",
        )


def _held(limits: Limits, machine: _Machine) -> Held:
    """Return the limits that make a sandbox another one; memory may be the worker's to hold."""
    held = Held.by(limits)
    if "memory" in machine.place.holds:
        return held
    return Held(None, held.pids, held.cpus, held.tmp_bytes, held.network)


def _tmp_bytes(held: Held) -> int | None:
    """Return the size of temporary folders, which are memory: never more than there may be."""
    if held.tmp_bytes is None and held.memory_mb is not None:
        return held.memory_mb * _MIB
    return held.tmp_bytes


def _worker(image: Image, held: Held) -> list[str]:
    return worker_command(image.python, _START, root=inside.worker_root(held.tmp_bytes))


def _environment(image: Image, held: Held, task_env: Mapping[str, str]) -> dict[str, str]:
    """Return all that a task sees: the variables of its image, and the given ones."""
    config = json.loads(image.config).get("config") or {}
    own = dict(each.partition("=")[::2] for each in config.get("Env") or ())
    root = inside.worker_root(held.tmp_bytes)
    given = {"HOME": root, "TMPDIR": root, "LD_BIND_NOW": "worker"}
    return {"PATH": _PATH, "LANG": "C.UTF-8", **own, **given, **task_env}

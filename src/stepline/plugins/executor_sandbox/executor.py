"""The executor: warm sandboxes, each of one image and held to the same limits."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stepline.errors import PlatformError
from stepline.frozen import frozen
from stepline.model.image import Image
from stepline.model.task import Limits
from stepline.plugins.executor_sandbox import cgroups
from stepline.plugins.executor_sandbox.bubblewrap import Bubblewrap, Sandbox, find_bubblewrap
from stepline.plugins.executor_sandbox.host import SandboxHost, hold
from stepline.plugins.executor_sandbox.limits import refuse_unheld
from stepline.plugins.executor_sandbox.spawner import Spawner
from stepline.ports.executor import ExecutorOptions, ScriptVersion, Seat
from stepline.workers import inside
from stepline.workers.held import Held
from stepline.workers.imaged import (
    ImageExecutor,
    ImageKey,
    image_variables,
    task_variables,
)
from stepline.workers.pool import IDLE_SECONDS
from stepline.workers.process import PATH, START, worker_command
from stepline.workers.roots import PlatformRoot, remove_forsaken, root_name
from stepline.workers.shared import SharedFolder
from stepline.workers.warm import WarmPlace
from stepline.workers.worker import Load, Worker

_MIB = 1024 * 1024
_SDK = os.path.dirname(os.path.dirname(START))
_START = f"{inside.SDK}/worker/{os.path.basename(START)}"


@frozen
class _Machine:
    """What this machine can do."""

    bubblewrap: Bubblewrap
    place: cgroups.Place


class SandboxExecutor(ImageExecutor):
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
        super().__init__(options, check=self._machine, idle_s=idle_s)
        self._environ = environ
        self._given = (bubblewrap, place)
        self._lock = threading.Lock()
        self._found: _Machine | None = None
        self._spawner = Spawner()
        self._folders = PlatformRoot(options.scratch, "sandbox", environ=environ)

    def prepare(
        self,
        version: ScriptVersion,
        *,
        tell: Callable[[str], None] | None = None,
        renew: bool = False,
    ) -> str:
        """Make the version's image and its root, or find them made."""
        self._machine()
        image = self._images.get(version, tell, renew=renew)
        self._options.images().root(image)
        return image.id

    @contextmanager
    def seat(self, version: ScriptVersion, limits: Limits) -> Iterator[Seat]:
        """Take a sandbox for one attempt."""
        machine = self._machine()
        refuse_unheld(limits, place=machine.place, bubblewrap=machine.bubblewrap)
        image = self._images.get(version)
        key = self._images.key(version, image, held=_held(limits, machine))
        with self._seat(version, key, start=self._start, fresh=limits.fresh) as seat:
            yield seat

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

    def _start(self, version: ScriptVersion, key: ImageKey) -> WarmPlace:
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
        isolation = self._options.isolation
        load = Load(image.code, isolation, key.modules, memory, inside.TEMPORARY)
        return WarmPlace(Worker(host, load), folder)

    def _held_root(self, version: ScriptVersion, key: ImageKey) -> tuple[Image, tuple[Path, int]]:
        """Return a version's image and its root; both are made again where they are gone."""
        images = self._options.images()
        image = self._images.get(version)
        try:
            return image, hold(lambda: images.root(image))
        except PlatformError:
            again = self._images.again(version, key.image)
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
            environ={
                "PATH": PATH,
                **image_variables(image),
                **task_variables(image, held, task_env=self._options.task_env),
            },
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

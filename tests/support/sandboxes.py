"""An executor ``sandbox`` with a task script on it, for tests."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from stepline.errors import PlatformError
from stepline.model.task import Isolation, Limits
from stepline.plugins.executor_sandbox import cgroups, lowered
from stepline.plugins.executor_sandbox.bubblewrap import (
    Bubblewrap,
    Sandbox,
    find_bubblewrap,
    open_folders,
)
from stepline.plugins.executor_sandbox.executor import SandboxExecutor
from stepline.ports.executor import ExecutorOptions
from stepline.ports.images import Images
from stepline.workers.pool import IDLE_SECONDS
from tests.support.executors import LIMITS, OUTCOMES, Bench


class SharingBubblewrap:
    """Makes sandboxes that get one more folder, under the same path as here.

    Args:
        bubblewrap: The real one.
        folder: The folder; below ``/tmp``, which is empty in sandboxes.

    Attributes:
        cgroups: Names of the cgroups around the sandboxes.
    """

    def __init__(self, bubblewrap: Bubblewrap, folder: Path) -> None:
        self._folder = folder
        self._real = bubblewrap
        self.can_size = bubblewrap.can_size
        self.changes_user = bubblewrap.changes_user
        self.given = bubblewrap.given
        self.cgroups: set[str] = set()

    def command(self, sandbox: Sandbox, command: Sequence[str]) -> list[str]:
        """Return the command that runs another one in a sandbox."""
        self._folder.mkdir(exist_ok=True)
        self.cgroups.add(os.path.basename(sandbox.cgroup))
        made = self._real.command(sandbox, command)
        shared = source = str(self._folder)
        if self.changes_user:
            first = made.index("--")
            source = f"{lowered.STAGE}/{first - made.index(lowered.__file__) - 3}"
            made.insert(first, shared)
        end = made.index("--chdir")
        mount = [*open_folders(shared), "--bind", source, shared]
        return [*made[:end], *mount, *made[end:]]


class SandboxBench(Bench):
    """An executor ``sandbox`` and a task script.

    Args:
        images: Images with a base of the runtime.
        folder: An empty folder.
        place: Where cgroups can be made; None to find out.
        idle_s: Seconds after which a sandbox without a task is ended.
        changes: What else a bench takes.
    """

    code_inside = "/opt/stepline/script"

    def __init__(
        self,
        images: Images,
        folder: Path,
        *,
        isolation: Isolation = Isolation.FORK,
        limits: Limits = LIMITS,
        code: Path = OUTCOMES,
        task_env: Mapping[str, str] | None = None,
        place: cgroups.Place | None = None,
        idle_s: float = IDLE_SECONDS,
    ) -> None:
        options = ExecutorOptions(
            isolation=isolation,
            task_env=task_env or {},
            images=lambda: images,
            scratch=str(folder / "tmp"),
        )
        (folder / "tmp").mkdir()
        self._bubblewrap = SharingBubblewrap(need_bubblewrap(), folder / "shared")
        executor = SandboxExecutor(
            options,
            environ=os.environ,
            bubblewrap=self._bubblewrap,  # type: ignore[arg-type]
            place=place,
            idle_s=idle_s,
        )
        super().__init__(
            executor, folder, code=code, runtime="3.11", isolation=isolation, limits=limits
        )

    def remains(self) -> list[str]:
        """Return what is left in the executor's folder, and its cgroups."""
        return [*super().remains(), *sorted(self._bubblewrap.cgroups & set(cgroup_names()))]

    def _digest(self, targets: Sequence[str]) -> str:
        """Return the same for all functions of a module, since there is a sandbox for each."""
        return super()._digest(sorted({target.rpartition(".")[0] for target in targets}))


def need_bubblewrap() -> Bubblewrap:
    """Return bubblewrap; where it cannot be used, the test is skipped."""
    try:
        return find_bubblewrap(os.environ)
    except PlatformError as error:
        pytest.skip(f"there are no sandboxes: {error}")


def cgroup_names() -> list[str]:
    """Return the names of all cgroups that there are beside those of sandboxes."""
    parents = set(cgroups.find_place().folders.values())
    return [name for parent in parents for name in os.listdir(parent)]

"""Executor ``sandbox``: tasks in the root file system of their image, without a daemon.

Limits held: network ``none`` and ``host``, temporary space, and those of the executor
``process``. Processes and processors take cgroups that the platform may make, as root may.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stepline.ports.hookspecs import hookimpl

if TYPE_CHECKING:
    from stepline.ports.executor import Executor, ExecutorOptions


@hookimpl
def stepline_executor(
    name: str, options: ExecutorOptions, cache_dir: Path, environ: Mapping[str, str]
) -> Executor | None:
    """Provide the executor ``sandbox``."""
    if name != "sandbox":
        return None
    from stepline.plugins.executor_sandbox.executor import SandboxExecutor

    del cache_dir
    return SandboxExecutor(options, environ=environ)

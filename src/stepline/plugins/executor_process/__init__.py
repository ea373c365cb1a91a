"""Executor ``process``: tasks in processes of this machine, without containers.

Limits held: memory, wall-clock time and log size; the platform holds that of written
files. Network is ``host``: a plain process cannot be kept from it. An attempt with
another limit is refused.
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
    """Provide the executor ``process``."""
    if name != "process":
        return None
    from stepline.plugins.executor_process.executor import ProcessExecutor

    return ProcessExecutor(options, cache_dir=cache_dir, environ=environ)

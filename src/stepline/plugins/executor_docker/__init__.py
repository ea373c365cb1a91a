"""Executor ``docker``: tasks in warm containers of a container engine.

Limits held: all of them. The engine holds memory, processors, processes, temporary space
and network, the worker in the container wall-clock time and log size, and the platform
that of written files.
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
    """Provide the executor ``docker``."""
    if name != "docker":
        return None
    from stepline.plugins.executor_docker.executor import DockerExecutor

    del cache_dir
    return DockerExecutor(options, environ=environ)

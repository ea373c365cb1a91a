"""The first worker that a command needed last time, started before the command knows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from stepline.errors import PlatformError
from stepline.model.task import Isolation
from stepline.ports.head_start import leave_hint
from stepline.workers.process import ProcessHost
from stepline.workers.roots import root_name
from stepline.workers.worker import Load, Worker

_begun: tuple[Mapping[str, Any], tuple[int, int], Worker] | None = None
_is_first = True


def begin(what: Mapping[str, Any]) -> None:
    """Start a worker from the arguments that `start_worker` once had."""
    global _begun
    root = root_name(os.environ)
    try:
        code = _identity(what["code"])
        _begun = (what, code, _new_worker(root=root, **_from_plain(what)))
    except (OSError, PlatformError, TypeError, KeyError, ValueError):
        pass  # what was right then is not now; the command starts what it needs


def end() -> None:
    """End the worker if nobody took it."""
    global _begun
    if _begun is not None:
        _begun[-1].close()
        _begun = None


def start_worker(*, root: str, **arguments: Any) -> Worker:
    """Return a worker with these arguments: the one begun early, or a new one."""
    global _begun, _is_first
    if not _is_first:
        return _new_worker(root=root, **arguments)
    _is_first = False
    what = _to_plain(arguments)
    wanted = (what, _identity(what["code"]))
    if _begun is not None and _begun[:2] == wanted and _begun[-1].usable:
        worker = _begun[-1]
        _begun = None
        return worker
    end()
    leave_hint(__name__, what)
    return _new_worker(root=root, **arguments)


def _new_worker(*, python: str, root: str, task_env: Mapping[str, str], **load: Any) -> Worker:
    return Worker(ProcessHost(python, root, task_env=task_env), Load(**load))


def _identity(folder: str) -> tuple[int, int]:
    """Return what is another for a folder made anew: its number alone may be used again."""
    found = os.stat(folder)
    return found.st_ino, found.st_ctime_ns


def _to_plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **arguments,
        "isolation": arguments["isolation"].value,
        "modules": list(arguments["modules"]),
    }


def _from_plain(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **plain,
        "isolation": Isolation(plain["isolation"]),
        "modules": tuple(plain["modules"]),
    }

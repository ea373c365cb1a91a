"""Workers that are processes of this machine."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from stepline.errors import PlatformError
from stepline.workers.folders import remove_folder
from stepline.workers.program import Program
from stepline.workers.roots import make_root
from stepline_sdk import wire

_GRACE_SECONDS = 10.0
_CGROUP_SECONDS = 1.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The same as in the worker's `remains`, which is too much to import for it.
MARK_VARIABLE = "STEPLINE_TASK_MARK"
# Symbols that are looked up before a fork need not be in each copy. Any text means this; the
# worker takes away this one, so that tasks do not see it.
_BIND_NOW = "worker"
START = os.path.join(os.path.dirname(wire.__file__), "worker", "start.py")


class ProcessHost:
    """A worker's program as a process of its own.

    Args:
        python: Interpreter of the task script's environment.
        root: Folder for the worker's temporary folders; made here, removed by `remove`.
        task_env: Variables that tasks get besides what the platform sets.

    Raises:
        PlatformError: The interpreter cannot be started, or the folder not made.
    """

    def __init__(self, python: str, root: str, *, task_env: Mapping[str, str]) -> None:
        self.python = python
        self.mark = os.urandom(8).hex()
        self._root = root
        make_root(root)
        self.socket, there = socket.socketpair()
        environ = worker_environment(python, root, task_env=task_env, mark=self.mark)
        try:
            with there:
                self._program = Program(
                    worker_command(python, START, root=root),
                    environ=environ,
                    output=self._log,
                    connection=there.fileno(),
                )
        except PlatformError:
            self.socket.close()
            remove_folder(root)
            raise

    @property
    def pid(self) -> int:
        """Its process id; 0 after its end."""
        return self._program.pid

    def ended(self, *, within_s: float) -> bool:
        """Wait for the process's end for at most so long; tell whether it has come."""
        return self._program.ended(within_s=within_s)

    def kill(self) -> None:
        """End the process by force."""
        self._program.kill()

    def out_of_memory(self) -> bool:
        """Nothing ends the worker itself for the memory of its task."""
        return False

    def words(self) -> str:
        """Return the last that the worker said."""
        log = Path(self._log)
        return log.read_text(errors="replace")[-2000:].strip() if log.exists() else ""

    def remove(self, cgroup: str | None) -> None:
        """Remove what the worker could not: its cgroup, and after a sudden end all else."""
        if os.path.isdir(self._root):
            command = [*_python(sys.executable, START), "--clean", self._root, "--mark", self.mark]
            cleaner = Program(command, environ={}, output=self._log)
            cleaner.ended(within_s=_GRACE_SECONDS)
            remove_folder(self._root)
        elif cgroup:
            remove_cgroup(cgroup)

    @property
    def _log(self) -> str:
        return os.path.join(self._root, "worker.log")


def worker_command(python: str, start: str, *, root: str) -> list[str]:
    """Return the worker's command, but for how it is connected.

    Args:
        python: The interpreter.
        start: Path of the program `START`, as the interpreter sees it.
        root: Folder for the worker's folders, as it sees it.
    """
    return [*_python(python, start), "--root", root]


def _python(python: str, start: str) -> list[str]:
    return [python, "-I", "-X", "utf8", start]


def remove_cgroup(folder: str) -> None:
    """Remove a cgroup whose last processes may still be on their way out."""
    deadline = time.monotonic() + _CGROUP_SECONDS
    while time.monotonic() < deadline:
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.001)  # the kernel is still about to forget the last process
        else:
            return


def worker_environment(
    python: str, root: str, *, task_env: Mapping[str, str], mark: str
) -> dict[str, str]:
    """Return all that a task sees of the platform's environment: nothing but this."""
    return {
        "PATH": f"{os.path.dirname(python)}:{PATH}",
        "LANG": "C.UTF-8",
        "HOME": root,
        "TMPDIR": root,
        "LD_BIND_NOW": _BIND_NOW,
        **task_env,
        MARK_VARIABLE: mark,
    }

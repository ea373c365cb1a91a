"""Workers that are processes of this machine."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepline.errors import PlatformError
from stepline.workers.roots import make_root
from stepline_sdk import wire

_GRACE_SECONDS = 10.0
_CGROUP_SECONDS = 1.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
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
        self._lock = threading.Lock()
        make_root(root)
        self.socket, there = socket.socketpair()
        environ = _environment(python, root, task_env=task_env, mark=self.mark)
        try:
            with there:
                arguments = ["--root", root]
                self.pid = self._spawn(python, arguments, environ=environ, fd=there.fileno())
        except PlatformError:
            self.socket.close()
            _remove_folder(root)
            raise

    def ended(self, *, within_s: float) -> bool:
        """Wait for the process's end for at most so long; tell whether it has come."""
        deadline = time.monotonic() + within_s
        pause = 0.0001
        while not self._reap():
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        return True

    def kill(self) -> None:
        """End the process by force."""
        with self._lock:
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)

    def out_of_memory(self) -> bool:
        """Nothing ends the worker itself for the memory of its task."""
        return False

    def words(self) -> str:
        """Return the last that the worker said."""
        log = Path(self._root, "worker.log")
        return log.read_text(errors="replace")[-2000:].strip() if log.exists() else ""

    def remove(self, cgroup: str | None) -> None:
        """Remove what the worker could not: its cgroup, and after a sudden end all else."""
        if os.path.isdir(self._root):
            arguments = ["--clean", self._root, "--mark", self.mark]
            self.pid = self._spawn(sys.executable, arguments, environ={})
            self.ended(within_s=_GRACE_SECONDS)
            _remove_folder(self._root)
        elif cgroup:
            _remove_cgroup(cgroup)

    def _reap(self) -> bool:
        with self._lock:
            try:
                if self.pid and os.waitpid(self.pid, os.WNOHANG)[0]:
                    self.pid = 0
            except ChildProcessError:
                self.pid = 0
            return self.pid == 0

    def _spawn(
        self, python: str, arguments: list[str], *, environ: Mapping[str, str], fd: int = -1
    ) -> int:
        """Start the worker's program, with ``fd`` as the other end of the connection."""
        actions: list[tuple[Any, ...]] = []
        command = [python, "-I", "-X", "utf8", START, *arguments]
        if fd >= 0:
            # As a copy under another number, it is inherited by this process alone.
            target = 4 if fd == 3 else 3
            actions.append((os.POSIX_SPAWN_DUP2, fd, target))
            command += ["--fd", str(target)]
        log = os.path.join(self._root, "worker.log")
        actions += [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        try:
            return os.posix_spawn(
                python, command, environ, file_actions=actions, setsid=True, setsigmask=[]
            )
        except OSError as error:
            raise PlatformError(f"{python} cannot be started: {error.strerror}") from error


def _remove_folder(folder: str) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _remove_cgroup(folder: str) -> None:
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


def _environment(
    python: str, root: str, *, task_env: Mapping[str, str], mark: str
) -> dict[str, str]:
    """Return all that a task sees of the platform's environment: nothing but this."""
    return {
        "PATH": f"{os.path.dirname(python)}:{_PATH}",
        "LANG": "C.UTF-8",
        "HOME": root,
        "TMPDIR": root,
        "LD_BIND_NOW": _BIND_NOW,
        **task_env,
        MARK_VARIABLE: mark,
    }

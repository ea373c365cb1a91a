"""The platform's handle on one worker process."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from stepline.errors import PlatformError
from stepline.model.task import Isolation, OutcomeKind, TaskOutcome, TaskRequest
from stepline.model.task_script import Function
from stepline.plugins.executor_process import frames
from stepline.plugins.executor_process.roots import make_root
from stepline.ports.executor import LogLine, TaskServices
from stepline_sdk import wire

_GRACE_SECONDS = 10.0
_CGROUP_SECONDS = 1.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The same as in the worker's `remains`, which is too much to import for it.
MARK_VARIABLE = "STEPLINE_TASK_MARK"
# Symbols that are looked up before a fork need not be in each copy. Any text means this; the
# worker takes away this one, so that tasks do not see it.
_BIND_NOW = "worker"
_START = os.path.join(os.path.dirname(wire.__file__), "worker", "start.py")


class WorkerProcess:
    """A worker that serves one task script, one task at a time.

    `cancel` and `stop` may be called from any thread, the rest from one at a time.

    Args:
        python: Interpreter of the task script's environment.
        code: Folder of the task script.
        root: Folder for the worker's temporary folders; made here, removed by `close`.
        isolation: How its tasks are kept apart.
        modules: Modules to import at once, so that tasks find them loaded.
        task_env: Variables that tasks get besides what the platform sets.
        memory: How memory is limited: None for the strongest way, or ``watch``.

    Raises:
        PlatformError: The interpreter cannot be started, or the folder not made.
    """

    def __init__(
        self,
        *,
        python: str,
        code: str,
        root: str,
        isolation: Isolation,
        modules: tuple[str, ...],
        task_env: Mapping[str, str],
        memory: str | None = None,
    ) -> None:
        self._python = python
        self._root = root
        self._cgroup: str | None = None
        self._ready = False
        self._lock = threading.Lock()
        self._task_id = ""
        self._token = ""
        self._cancelled = False
        self._stopped = False
        make_root(root)
        self._socket, there = socket.socketpair()
        self._connection = wire.Connection(self._socket)
        self._mark = os.urandom(8).hex()
        environ = _environment(python, root, task_env=task_env, mark=self._mark)
        try:
            with there:
                arguments = ["--root", root]
                self.pid = self._spawn(python, arguments, environ=environ, fd=there.fileno())
        except PlatformError:
            self._connection.close()
            _remove_folder(root)
            raise
        load = {"type": "load", "code": code, "isolation": isolation.value}
        self._send({**load, "modules": list(modules), "memory": memory, "mark": self._mark})

    def run(
        self,
        request: TaskRequest,
        function: Function,
        *,
        services: TaskServices,
        scratch: str,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> TaskOutcome:
        """Run one task and wait for its end.

        Args:
            request: The attempt.
            function: What to call.
            services: Who answers the task's calls and takes its output.
            scratch: Folder that the task and the platform share.
            cancelled: Tells whether the task was cancelled before it was sent; from then
                on `cancel` is the way.

        Raises:
            PlatformError: The worker does not start.
        """
        try:
            timeout = request.limits.timeout_s
            self._socket.settimeout(None if timeout is None else timeout + _GRACE_SECONDS)
            frame = frames.task_frame(request, function, scratch=scratch)
            with self._lock:
                self._task_id, self._token = request.task_id, frame["token"]
                self._cancelled = False
                self._send(frame)
            if cancelled():
                self.cancel(request.task_id)
            return self._outcome(services, scratch, timeout)
        except BaseException:
            self._kill()  # it may be in the middle of the task
            raise
        finally:
            with self._lock:
                self._task_id = self._token = ""

    def cancel(self, task_id: str) -> None:
        """Ask for the end of a task, if it is the one that runs."""
        with self._lock:
            if task_id == self._task_id:
                self._cancelled = True
                self._send({"type": "cancel", "token": self._token})

    def stop(self) -> None:
        """Ask for the worker's end, also in the middle of a task."""
        self._stopped = True
        try:
            self._connection.send_some(wire.encode({"type": "stop"}))
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it is gone already, or about to

    def close(self) -> None:
        """End the worker and all that it started, and remove its folder."""
        self.stop()
        self._socket.settimeout(_GRACE_SECONDS)
        with suppress(TimeoutError):
            self._next_frame()  # none is for us: this waits for the end of the stream
        if not self._wait(_GRACE_SECONDS):
            self._kill()
        self._connection.close()
        self._remove_remains()

    @property
    def usable(self) -> bool:
        """Whether the worker can take a task."""
        return not self._stopped and not self._wait(0)

    def _outcome(
        self, services: TaskServices, scratch: str, timeout_s: float | None
    ) -> TaskOutcome:
        """Serve the task until its outcome comes."""
        try:
            while (frame := self._next_frame()) is not None:
                if frame["type"] == "outcome":
                    return frames.outcome(frame, scratch=scratch)
                self._serve(frame, services)
        except TimeoutError:
            self._kill()
            message = f"the task ran longer than {timeout_s:g} s, and its worker did not answer"
            return TaskOutcome(OutcomeKind.TIMED_OUT, message=message)
        return self._lost()

    def _next_frame(self) -> dict[str, Any] | None:
        """Return the next frame of this attempt, or None at the worker's end."""
        try:
            while (frame := self._connection.receive()) is not None:
                if frame["type"] == "ready":
                    self._ready, self._cgroup = True, frame["cgroup"]
                elif frame.get("token") == self._token:
                    return frame
        except TimeoutError:
            raise
        except (wire.WireError, OSError):
            pass
        return None

    def _serve(self, frame: dict[str, Any], services: TaskServices) -> None:
        if frame["type"] == "log":
            services.log([LogLine(*line) for line in frame["lines"]])
        elif frame["type"] == "started":
            services.started(frame["at"])
        elif frame["type"] == "call":
            answer = services.call(frame["method"], frame["params"])
            self._answer({"type": "answer", "token": self._token, "n": frame["n"]}, answer)

    def _answer(self, frame: dict[str, Any], answer: Mapping[str, Any]) -> None:
        try:
            data = wire.encode({**frame, **answer})
        except (wire.WireError, ValueError, TypeError, RecursionError) as problem:
            message = f"the platform's answer cannot be sent to the task: {problem}"
            data = wire.encode({**frame, "error": {"type": "PlatformError", "message": message}})
        self._send_encoded(data)

    def _send(self, frame: dict[str, Any]) -> None:
        self._send_encoded(wire.encode(frame))

    def _send_encoded(self, data: bytes) -> None:
        try:
            self._connection.send_encoded(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the next frame that we wait for tells that the worker is gone

    def _lost(self) -> TaskOutcome:
        if not self._wait(_GRACE_SECONDS):
            self._kill()
        if self._cancelled:
            return TaskOutcome(OutcomeKind.CANCELLED, message="the task was cancelled")
        if not self._ready and not self._stopped:
            raise PlatformError(f"the worker on {self._python} does not start. {self._words()}")
        message = f"the worker ended in the middle of the task. {self._words()}".strip()
        return TaskOutcome(OutcomeKind.LOST, message=message)

    def _words(self) -> str:
        """Return the last that the worker said."""
        log = Path(self._root, "worker.log")
        return log.read_text(errors="replace")[-2000:].strip() if log.exists() else ""

    def _kill(self) -> None:
        """End the worker by force; `close` sees to the rest."""
        with self._lock:
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)
        self._wait(_GRACE_SECONDS)

    def _wait(self, seconds: float) -> bool:
        """Wait for the process's end; tell whether it has come."""
        deadline = time.monotonic() + seconds
        pause = 0.0001
        while not self._reap():
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        return True

    def _reap(self) -> bool:
        with self._lock:
            try:
                if self.pid and os.waitpid(self.pid, os.WNOHANG)[0]:
                    self.pid = 0
            except ChildProcessError:
                self.pid = 0
            return self.pid == 0

    def _remove_remains(self) -> None:
        """Remove what the worker could not: its cgroup, and after a sudden end all else."""
        if os.path.isdir(self._root):
            arguments = ["--clean", self._root, "--mark", self._mark]
            self.pid = self._spawn(sys.executable, arguments, environ={})
            self._wait(_GRACE_SECONDS)
            _remove_folder(self._root)
        elif self._cgroup:
            _remove_cgroup(self._cgroup)

    def _spawn(
        self, python: str, arguments: list[str], *, environ: Mapping[str, str], fd: int = -1
    ) -> int:
        """Start the worker's program, with ``fd`` as the other end of the connection."""
        actions: list[tuple[Any, ...]] = []
        command = [python, "-I", "-X", "utf8", _START, *arguments]
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

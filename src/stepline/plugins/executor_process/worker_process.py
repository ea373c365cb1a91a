"""The platform's handle on one worker process."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepline.errors import PlatformError
from stepline.model.task import OutcomeKind, TaskOutcome, TaskRequest
from stepline.model.task_script import Function
from stepline.ports.executor import LogLine, TaskServices
from stepline_sdk import wire

_GRACE_SECONDS = 10.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class WorkerProcess:
    """A worker that serves one task script, one task at a time.

    Args:
        python: Interpreter of the task script's environment.
        code: Folder of the task script.
        root: Folder for the worker's temporary folders; made here, removed by `close`.
        modules: Modules to import at once, so that a first task finds them loaded.
        task_env: Variables that tasks get besides what the platform sets.
    """

    def __init__(
        self,
        *,
        python: str,
        code: str,
        root: str,
        modules: tuple[str, ...],
        task_env: Mapping[str, str],
    ) -> None:
        self._root = root
        os.mkdir(root, 0o700)
        here, there = socket.socketpair()
        os.set_inheritable(there.fileno(), True)
        self._connection = wire.Connection(here)
        self._socket = here
        self._task_id = ""
        self.pid = self._spawn(python, there.fileno(), _environment(python, root, task_env))
        there.close()
        self._connection.send({"type": "load", "code": code, "modules": list(modules)})

    def _spawn(self, python: str, fd: int, environ: Mapping[str, str]) -> int:
        start = os.path.join(os.path.dirname(wire.__file__), "worker", "start.py")
        command = [python, "-I", "-X", "utf8", start, "--fd", str(fd), "--root", self._root]
        log = os.path.join(self._root, "worker.log")
        create = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, create, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        try:
            return os.posix_spawn(python, command, environ, file_actions=actions, setsid=True)
        except OSError as error:
            raise PlatformError(f"{python} cannot be started: {error.strerror}") from error

    def run(
        self,
        request: TaskRequest,
        function: Function,
        *,
        services: TaskServices,
        scratch: str,
    ) -> TaskOutcome:
        """Run one task and wait for its end."""
        self._task_id = request.task_id
        self._connection.send(_task_frame(request, function, scratch))
        timeout = request.limits.timeout_s
        self._socket.settimeout(None if timeout is None else timeout + _GRACE_SECONDS)
        try:
            while True:
                frame = self._connection.receive()
                if frame is None:
                    return self._lost()
                if frame["type"] == "outcome":
                    return _outcome(frame, scratch)
                self._serve(frame, services)
        except TimeoutError:
            self.kill()
            message = f"the task ran longer than {timeout:g} s, and its worker did not answer"
            return TaskOutcome(OutcomeKind.TIMED_OUT, message=message)
        except (wire.WireError, OSError):
            return self._lost()
        finally:
            self._task_id = ""

    def cancel(self, task_id: str) -> None:
        """Ask for the end of a task, if it is the one that runs."""
        if task_id == self._task_id:
            self._connection.send({"type": "cancel", "id": task_id})

    def close(self) -> None:
        """End the worker and all that it started, and remove its folder."""
        try:
            self._connection.send({"type": "stop"})
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it is gone already, or about to
        if not self._wait(_GRACE_SECONDS):
            self.kill()
        self._connection.close()
        self._remove_root()

    def kill(self) -> None:
        """End the worker and everything below it by force."""
        from stepline.plugins.executor_process.process_tree import kill_tree

        kill_tree(self.pid)
        self._wait(_GRACE_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return self.pid != 0 and not self._wait(0)

    def _serve(self, frame: dict[str, Any], services: TaskServices) -> None:
        if frame["type"] == "log":
            services.log([LogLine(*line) for line in frame["lines"]])
        elif frame["type"] == "started":
            services.started(frame["at"])
        elif frame["type"] == "call":
            answer = services.call(frame["method"], frame["params"])
            self._connection.send(
                {"type": "answer", "id": frame["id"], "n": frame["n"], **answer}
            )

    def _lost(self) -> TaskOutcome:
        self._wait(_GRACE_SECONDS)
        log = Path(self._root, "worker.log")
        tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
        message = f"the worker ended in the middle of the task. {tail}".strip()
        return TaskOutcome(OutcomeKind.LOST, message=message)

    def _wait(self, seconds: float) -> bool:
        """Wait for the process's end; tell whether it has come."""
        deadline = time.monotonic() + seconds
        pause = 0.0002
        while self.pid:
            try:
                pid, _ = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pid = self.pid
            if pid:
                self.pid = 0
                break
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        return True

    def _remove_root(self) -> None:
        import shutil

        shutil.rmtree(self._root, ignore_errors=True)


def _environment(python: str, root: str, task_env: Mapping[str, str]) -> dict[str, str]:
    """Return all that a task sees of the platform's environment: nothing but this."""
    return {
        "PATH": f"{os.path.dirname(python)}:{_PATH}",
        "LANG": "C.UTF-8",
        "HOME": root,
        "TMPDIR": root,
        **task_env,
    }


def _task_frame(request: TaskRequest, function: Function, scratch: str) -> dict[str, Any]:
    return {
        "type": "task",
        "id": request.task_id,
        "token": f"{request.task_id}/{request.attempt}",
        "target": function.function,
        "function": _function_entry(function),
        "input": wire.spill(request.input, scratch, "input.json"),
        "context": dict(request.context),
        "limits": {
            "memory_mb": request.limits.memory_mb,
            "timeout_s": request.limits.timeout_s,
            "log_bytes": request.limits.log_bytes,
        },
        "isolation": request.isolation.value,
        "scratch": scratch,
    }


def _function_entry(function: Function) -> dict[str, Any]:
    entry: dict[str, Any] = {"slug": function.slug, "function": function.function}
    if function.allowed_ids is not None:
        entry["allowedIds"] = [
            {"namespace": ids.namespace, "slug": ids.slug, "version": ids.version}
            for ids in function.allowed_ids
        ]
    return entry


def _outcome(frame: dict[str, Any], scratch: str) -> TaskOutcome:
    output = frame.get("output")
    return TaskOutcome(
        kind=OutcomeKind(frame["kind"]),
        value=None if output is None else wire.unspill(output, scratch),
        message=frame.get("message", ""),
        traceback=frame.get("traceback", ""),
        exit_code=frame.get("exit_code"),
        signal=frame.get("signal"),
        duration_s=frame["duration_s"],
        peak_memory_bytes=frame["peak_memory_bytes"],
    )

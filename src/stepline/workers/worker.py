"""The platform's handle on one worker, wherever it runs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from stepline.errors import PlatformError
from stepline.frozen import frozen
from stepline.model.task import Isolation, OutcomeKind, TaskOutcome, TaskRequest
from stepline.model.task_script import Function
from stepline.ports.executor import LogLine, TaskServices
from stepline.workers import frames
from stepline.workers.host import WorkerHost
from stepline_sdk import wire

_GRACE_SECONDS = 10.0


@frozen
class Load:
    """What a worker is told at its start.

    Attributes:
        code: Folder of the task script, as the worker sees it.
        isolation: How its tasks are kept apart.
        modules: Modules to import at once, so that tasks find them loaded.
        memory: How memory is limited: None for the strongest way, ``watch``, or
            ``around`` where the limit is that of what is around the worker.
    """

    code: str
    isolation: Isolation
    modules: tuple[str, ...] = ()
    memory: str | None = None


class Worker:
    """A worker that serves one task script, one task at a time.

    `cancel` and `stop` may be called from any thread, the rest from one at a time.

    Args:
        host: What it runs in; closed with the worker.
        load: What it is told at its start.
    """

    def __init__(self, host: WorkerHost, load: Load) -> None:
        self._host = host
        self._cgroup: str | None = None
        self._ready = False
        self._lock = threading.Lock()
        self._task_id = ""
        self._token = ""
        self._cancelled = False
        self._stopped = False
        self._connection = wire.Connection(host.socket)
        told = {**vars(load), "isolation": load.isolation.value, "modules": list(load.modules)}
        self._send({"type": "load", **told, "mark": host.mark})

    def run(
        self,
        request: TaskRequest,
        function: Function,
        *,
        services: TaskServices,
        scratch: str,
        inside: str,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> TaskOutcome:
        """Run one task and wait for its end.

        Args:
            request: The attempt.
            function: What to call.
            services: Who answers the task's calls and takes its output.
            scratch: Folder that the task and the platform share, as the platform sees it.
            inside: The same folder as the worker sees it.
            cancelled: Tells whether the task was cancelled before it was sent; from then
                on `cancel` is the way.

        Raises:
            PlatformError: The worker does not start.
        """
        try:
            timeout = request.limits.timeout_s
            self._host.socket.settimeout(None if timeout is None else timeout + _GRACE_SECONDS)
            frame = frames.task_frame(request, function, scratch=scratch, inside=inside)
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
            self._host.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it is gone already, or about to

    def close(self) -> None:
        """End the worker and all that it started, and remove its folder."""
        self.stop()
        self._host.socket.settimeout(_GRACE_SECONDS)
        with suppress(TimeoutError):
            self._next_frame()  # none is for us: this waits for the end of the stream
        if not self._host.ended(within_s=_GRACE_SECONDS):
            self._kill()
        self._connection.close()
        self._host.remove(self._cgroup)

    @property
    def usable(self) -> bool:
        """Whether the worker can take a task."""
        return not self._stopped and not self._host.ended(within_s=0)

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
        if not self._host.ended(within_s=_GRACE_SECONDS):
            self._kill()
        if self._cancelled:
            return TaskOutcome(OutcomeKind.CANCELLED, message="the task was cancelled")
        words = self._host.words()
        if not self._ready and not self._stopped:
            raise PlatformError(f"the worker on {self._host.python} does not start. {words}")
        if self._host.out_of_memory():
            message = "the task and its worker were ended for their memory"
            return TaskOutcome(OutcomeKind.OUT_OF_MEMORY, message=message)
        message = f"the worker ended in the middle of the task. {words}".strip()
        return TaskOutcome(OutcomeKind.LOST, message=message)

    def _kill(self) -> None:
        """End the worker by force; `close` sees to the rest."""
        self._host.kill()
        self._host.ended(within_s=_GRACE_SECONDS)

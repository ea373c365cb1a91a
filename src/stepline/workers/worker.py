"""The platform's handle on one worker, wherever it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from stepline.errors import PlatformError, SteplineError
from stepline.frozen import frozen
from stepline.model.task import Isolation, OutcomeKind, TaskOutcome, TaskRequest
from stepline.model.task_script import Function
from stepline.ports.executor import LogLine, TaskServices
from stepline.workers import frames
from stepline.workers.deadline import Deadline
from stepline.workers.host import WorkerHost
from stepline.workers.line import Line
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
        temporary: Folders that the worker empties after each task, but for its own: they are
            those of a container or a sandbox, and nobody else's.
    """

    code: str
    isolation: Isolation
    modules: tuple[str, ...] = ()
    memory: str | None = None
    temporary: tuple[str, ...] = ()


class Worker:
    """A worker that serves one task script, one task at a time.

    `cancel` and `stop` may be called from any thread, the rest from one at a time. A task
    may have taken over its worker, so nothing here lasts for longer than it may, whatever the
    other end says, and a worker that says what none does is ended.

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
        self._spent = False
        self._deadline = Deadline()
        self._line = Line(host.socket, self._deadline)
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
            frame = frames.task_frame(request, function, scratch=scratch, inside=inside)
            with self._lock:
                self._task_id, self._token = request.task_id, frame["token"]
                self._cancelled = False
                self._begin(timeout)
                with suppress(TimeoutError):  # who waits for the outcome notices
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
            if task_id != self._task_id:
                return
            self._cancelled = True
            self._deadline.hurry(_GRACE_SECONDS)
            with suppress(TimeoutError):  # who waits for the outcome notices
                self._send({"type": "cancel", "token": self._token})

    def stop(self) -> None:
        """Ask for the worker's end, also in the middle of a task."""
        self._stopped = True
        self._deadline.hurry(_GRACE_SECONDS)
        self._line.hang_up(wire.encode({"type": "stop"}))

    def close(self) -> None:
        """End the worker and all that it started, and remove its folder, as far as that can be."""
        self.stop()
        self._deadline.begin(_GRACE_SECONDS)
        with suppress(TimeoutError, wire.WireError):
            while self._line.next() is not None:
                pass  # none is for us: this waits for the end of the stream
        if not self._host.ended(within_s=_GRACE_SECONDS):
            self._kill()
        self._line.close()
        with suppress(SteplineError, OSError):  # an outcome that is known has to stay
            self._host.remove(self._cgroup)

    @property
    def usable(self) -> bool:
        """Whether the worker can take a task; told at once, whatever it runs in."""
        if self._stopped or self._spent:
            return False
        return self._line.is_quiet if self._ready else not self._host.ended(within_s=0)

    def _begin(self, timeout_s: float | None) -> None:
        self._deadline.begin(None if timeout_s is None else timeout_s + _GRACE_SECONDS)
        if self._stopped:
            self._deadline.hurry(_GRACE_SECONDS)

    def _outcome(
        self, services: TaskServices, scratch: str, timeout_s: float | None
    ) -> TaskOutcome:
        """Serve the task until its outcome comes."""
        try:
            while (frame := self._next_frame(timeout_s)) is not None:
                if frame["type"] == "outcome":
                    self._spent = frame.get("spent", False)
                    return frames.outcome(frame, scratch=scratch)
                self._serve(frame, services)
        except TimeoutError:
            self._kill()
            message = f"the task ran longer than {timeout_s or 0:g} s"
            message += ", and its worker did not answer"
            return self._broken_off(OutcomeKind.TIMED_OUT, message)
        except wire.StreamCut:
            pass  # it ended within a frame
        except wire.WireError as error:
            self._kill()
            message = f"the worker sent what no worker sends, and was ended: {error}"
            return self._broken_off(OutcomeKind.LOST, message)
        return self._lost()

    def _broken_off(self, kind: OutcomeKind, message: str) -> TaskOutcome:
        """Return the outcome of a task whose worker the platform has ended."""
        if self._cancelled:
            return TaskOutcome(OutcomeKind.CANCELLED, message="the task was cancelled")
        if self._stopped:
            message = "the executor was closed, and the worker did not answer"
            return TaskOutcome(OutcomeKind.LOST, message=message)
        return TaskOutcome(kind, message=message)

    def _next_frame(self, timeout_s: float | None) -> dict[str, Any] | None:
        """Return the next frame of this attempt, or None at the worker's end."""
        while (frame := self._line.next()) is not None:
            if frame["type"] == "ready":
                self._hear_ready(frame, timeout_s)
            elif frame.get("token") == self._token:
                frames.check(frame)
                return frame
        return None

    def _hear_ready(self, frame: dict[str, Any], timeout_s: float | None) -> None:
        frames.check(frame)
        if self._ready:
            raise wire.WireError("a second frame 'ready'")
        self._ready, self._cgroup = True, frame["cgroup"]
        with self._lock:
            if not self._cancelled:
                self._begin(timeout_s)  # the worker begins to count now

    def _serve(self, frame: dict[str, Any], services: TaskServices) -> None:
        late = self._deadline.passed
        if frame["type"] == "log":
            services.log([LogLine(*line) for line in frame["lines"]])
        elif frame["type"] == "started":
            services.started(frame["at"])
        elif frame["type"] == "call" and not late:
            answer = services.call(frame["method"], frame["params"])
            if not self._deadline.passed:
                self._answer({"type": "answer", "token": self._token, "n": frame["n"]}, answer)
        if not late:
            self._deadline.excuse()

    def _answer(self, frame: dict[str, Any], answer: Mapping[str, Any]) -> None:
        try:
            data = wire.encode({**frame, **answer})
        except (wire.WireError, ValueError, TypeError, RecursionError) as problem:
            message = f"the platform's answer cannot be sent to the task: {problem}"
            data = wire.encode({**frame, "error": {"type": "PlatformError", "message": message}})
        self._line.send(data)

    def _send(self, frame: dict[str, Any]) -> None:
        self._line.send(wire.encode(frame))

    def _lost(self) -> TaskOutcome:
        if not self._host.ended(within_s=_GRACE_SECONDS):
            self._kill()
        if self._cancelled:
            return TaskOutcome(OutcomeKind.CANCELLED, message="the task was cancelled")
        words = self._host.words()
        if not self._ready and not self._stopped:
            what = f"the worker on {self._host.python} does not start. {words}"
            raise PlatformError(what, retryable=True)
        if self._host.out_of_memory():
            message = "the task and its worker were ended for their memory"
            message += ", in which files in /tmp and /dev/shm count"
            return TaskOutcome(OutcomeKind.OUT_OF_MEMORY, message=message)
        message = f"the worker ended in the middle of the task. {words}".strip()
        return TaskOutcome(OutcomeKind.LOST, message=message)

    def _kill(self) -> None:
        """End the worker by force; `close` sees to the rest."""
        self._spent = True
        self._host.kill()
        self._host.ended(within_s=_GRACE_SECONDS)

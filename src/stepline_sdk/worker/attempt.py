"""One task, watched from outside: its calls, output, limits and end."""

from __future__ import annotations

import os
import select
import time

from stepline_sdk import wire
from stepline_sdk.worker import capture, processes

EXIT_FATAL = 126


class PlatformGone(Exception):
    """The platform closed the connection while a task ran."""


class Attempt:
    """Watches one task until nothing of it is left.

    Args:
        task: The ``task`` frame.
        child: The process that runs it.
        platform: Connection to the platform.
        memory: The memory limit, begun for this task.
        wakeup: Descriptor that becomes readable when a child ends.
        log: Where the task's output goes.
    """

    def __init__(self, task, child, *, platform, memory, wakeup, log) -> None:
        self._task = task
        self._child = child
        self._platform = platform
        self._memory = memory
        self._wakeup = wakeup
        self._log = log
        self._result: dict | None = None
        self._status: int | None = None
        self._peak_kib = 0
        self._ended_as = ""
        self._started = time.monotonic()
        timeout = task["limits"].get("timeout_s")
        self._deadline = None if timeout is None else self._started + timeout

    def watch(self, keep_child: bool) -> dict:
        """Wait for the end of the task, and return its outcome frame.

        Args:
            keep_child: The process is to serve more tasks: its result ends the task.
        """
        streams = self._child.streams(self._log)
        poll, handlers = self._register(streams)
        while self._status is None and not (keep_child and self._result):
            for fd, _ in poll.poll(self._wait_ms()):
                if not handlers[fd]():
                    poll.unregister(fd)
            self._send_log()
            self._enforce_limits()
        self._end_rest(keep_child)
        self._read_result()
        for stream in streams:
            stream.drain()
        self._note_dropped()
        self._send_log()
        return self._outcome()

    @property
    def child_ended(self) -> bool:
        """Whether the process is gone."""
        return self._status is not None

    def _register(self, streams: list) -> tuple:
        handlers = {
            self._platform.fileno(): self._on_platform,
            self._child.connection.fileno(): self._on_child,
            self._wakeup: self._on_wakeup,
        }
        for stream in streams:
            handlers[stream.fd] = stream.read
        poll = select.poll()
        for fd in handlers:
            poll.register(fd, select.POLLIN)
        return poll, handlers

    def _wait_ms(self) -> int | None:
        waits = []
        if self._deadline is not None and not self._ended_as:
            waits.append(max(0.0, self._deadline - time.monotonic()))
        if self._memory.watch_seconds is not None:
            waits.append(self._memory.watch_seconds)
        return int(min(waits) * 1000) + 1 if waits else None

    def _on_wakeup(self) -> bool:
        os.read(self._wakeup, 512)
        self._reap()
        return True

    def _reap(self) -> None:
        if self._status is None:
            pid, status, usage = os.wait4(self._child.pid, os.WNOHANG)
            if pid:
                self._status = status
                self._peak_kib = usage.ru_maxrss

    def _on_child(self) -> bool:
        try:
            frames, alive = self._child.connection.receive_available()
        except (wire.WireError, OSError):
            return False
        for frame in frames:
            self._on_child_frame(frame)
        return alive

    def _on_child_frame(self, frame: dict) -> None:
        if frame["type"] == "result":
            self._result = frame
            return
        self._platform.send(dict(frame, id=self._task["id"]))

    def _on_platform(self) -> bool:
        frames, alive = self._platform.receive_available()
        for frame in frames:
            if frame.get("id") != self._task["id"]:
                continue  # an answer to a task that has ended
            if frame["type"] == "answer":
                self._answer(frame)
            elif frame["type"] == "cancel":
                self._kill("cancelled")
        if not alive:
            self._kill("cancelled")
            self._end_rest(False)
            raise PlatformGone
        return True

    def _answer(self, frame: dict) -> None:
        try:
            self._child.connection.send(frame)
        except OSError:
            pass  # the task ended while the platform was answering

    def _enforce_limits(self) -> None:
        if self._ended_as or self._status is not None:
            return
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._kill("timed-out")
        elif self._memory.watch_seconds is not None and self._memory.exceeded(self._child.pid):
            self._kill("out-of-memory")

    def _kill(self, ended_as: str) -> None:
        self._ended_as = self._ended_as or ended_as
        processes.kill_tree(self._child.pid)

    def _end_rest(self, keep_child: bool) -> None:
        """End what the task left behind; with its process, unless that is kept."""
        if self._status is None and not keep_child:
            _, self._status, usage = os.wait4(self._child.pid, 0)
            self._peak_kib = usage.ru_maxrss
        keep = self._child.pid if self._status is None else None
        processes.sweep(keep)

    def _read_result(self) -> None:
        poll = select.poll()
        poll.register(self._child.connection.fileno(), select.POLLIN)
        while self._result is None and poll.poll(0):
            if not self._on_child():
                return

    def _note_dropped(self) -> None:
        if self._log.dropped:
            text = "output over the limit: %d bytes were dropped" % self._log.dropped
            self._log.lines.append([time.time(), "err", text, True])

    def _send_log(self) -> None:
        if self._log.lines:
            lines = self._log.take()
            self._platform.send({"type": "log", "id": self._task["id"], "lines": lines})

    def _outcome(self) -> dict:
        outcome = self._ending()
        outcome.update(type="outcome", id=self._task["id"])
        outcome["duration_s"] = time.monotonic() - self._started
        outcome["peak_memory_bytes"] = self._peak_kib * 1024 or None
        return outcome

    def _ending(self) -> dict:
        limits = self._task["limits"]
        result = self._result or {}
        if self._ended_as == "timed-out":
            return _failed("timed-out", "the task ran longer than %g s" % limits["timeout_s"])
        if self._ended_as == "cancelled":
            return _failed("cancelled", "the task was cancelled")
        returned = result.get("kind") == "returned"
        if not returned and self._out_of_memory(result):
            message = "the task needs more than its %s MiB of memory" % limits["memory_mb"]
            return dict(_failed("out-of-memory", message), traceback=result.get("traceback", ""))
        if result:
            return {name: value for name, value in result.items() if name != "type"}
        return self._ending_by_status()

    def _out_of_memory(self, result: dict) -> bool:
        return (
            result.get("kind") == "out-of-memory"
            or self._ended_as == "out-of-memory"
            or self._memory.exceeded(self._child.pid)
        )

    def _ending_by_status(self) -> dict:
        status = self._status or 0
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            return dict(_failed("killed", "the task was ended by signal %d" % number), signal=number)
        code = os.WEXITSTATUS(status)
        if code == 0:
            return dict(_failed("exited", "No content returned by worker"), exit_code=0)
        kind = "fatal" if code == EXIT_FATAL else "exited"
        return dict(_failed(kind, "Invalid exit code %d" % code), exit_code=code)


def _failed(kind: str, message: str) -> dict:
    return {"kind": kind, "message": message, "traceback": ""}

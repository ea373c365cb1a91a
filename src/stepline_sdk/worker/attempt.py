"""One task, watched from outside: its calls, output, limits and end."""

from __future__ import annotations

import os
import select
import time

from stepline_sdk import wire
from stepline_sdk.worker import endings, processes
from stepline_sdk.worker.lines import Lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stepline_sdk.wire import Connection, Frame
    from stepline_sdk.worker.capture import Log
    from stepline_sdk.worker.memory import MemoryLimit
    from stepline_sdk.worker.templates import Template

# What is not urgent waits this long for more of it: a short task costs the platform one wakeup.
_HOLD_SECONDS = 0.005
_HOLD_BYTES = 32 * 1024
# With this much unsent, the task has to wait until the platform has read some of it.
_BACKLOG_BYTES = 1024 * 1024


class PlatformGone(Exception):
    """The platform closed the connection, or asked for the worker's end."""


class Attempt:
    """Watches one task until nothing of it is left.

    It waits for nothing but its `Lines`, so that limits hold whatever the ends do.

    Args:
        task: The ``task`` frame.
        template: What the task's process comes from.
        platform: Connection to the platform.
        memory: The memory limit, begun for this task.
        wakeup: Descriptor that becomes readable when a process below the worker ends.
        log: Where the task's output goes.
    """

    def __init__(
        self,
        task: Frame,
        template: Template,
        *,
        platform: Connection,
        memory: MemoryLimit,
        wakeup: int,
        log: Log,
    ) -> None:
        self._task = task
        self._token = task["token"]
        self._limits = task["limits"]
        self._template = template
        self._platform = platform
        self._memory = memory
        self._wakeup = wakeup
        self._log = log
        self._result: Frame | None = None
        self._forced: Frame | None = None
        self._heard = False
        self._started = time.monotonic()
        timeout = self._limits.get("timeout_s")
        self._deadline = None if timeout is None else self._started + timeout
        self._seat = template.take()
        self._link = self._seat.connection
        self._streams = template.streams(log)
        self._lines = Lines()
        self._lines.listen(platform.fileno(), self._on_platform)
        self._lines.listen(self._link.fileno(), self._on_link)
        self._lines.listen(template.control, self._on_template)
        self._lines.listen(wakeup, self._on_wakeup)
        for stream in self._streams:
            self._lines.listen(stream.fd, stream.read)
        self._to_platform = self._lines.outbox(platform)
        self._to_task = self._lines.outbox(self._link)
        self._held_since: float | None = None
        self._backlogged = False

    @property
    def had_process(self) -> bool:
        """Whether there was a process for the task."""
        return self._seat.pid != 0

    def watch(self, folder: str) -> bool:
        """Have the task begin, and wait for the end of it and of all that it started.

        Args:
            folder: Its work folder.

        Returns:
            Whether it began; if not, its process was gone before.

        Raises:
            PlatformGone: Nobody waits for the outcome; the task may still run.
        """
        self._to_task.put({"type": "run", "task": self._task, "folder": folder})
        self._to_task.flush()
        self._template.prepare()
        early = self._platform.take_buffered()  # what came right behind the task
        if early:
            self._template.hear()  # which process it is for
            self._take(early)
        while not self._over():
            self._lines.wait(self._wait_ms())
            self._put_log()
            self._flush_when_due()
            self._mind_backlog()
            self._enforce_limits()
        self._end_rest()
        self._read_result()
        for stream in self._streams:
            stream.drain()
        self._lines.pause([self._template.control, *self._task_fds()])
        self._template.release(self._seat)
        # One that died with an answer unread did begin: it had asked something.
        return self._forced is not None or self._heard or not self._link.refused

    def report(self, *, spent: bool) -> None:
        """Send the outcome, and wait until all of it is out.

        Args:
            spent: Whether the task left something that cannot be removed.

        Raises:
            PlatformGone: Nobody waits for the outcome.
        """
        self._log.note_dropped()
        self._put_log()
        outcome = dict(self._outcome(), type="outcome")
        self._put(dict(outcome, spent=True) if spent else outcome)
        self._flush()
        while self._to_platform.size:
            self._lines.wait(None)

    # The platform's side.

    def _on_platform(self) -> bool:
        try:
            frames, alive = self._platform.receive_available()
        except (wire.WireError, OSError):
            raise PlatformGone from None
        self._take(frames)
        if not alive:
            raise PlatformGone
        return True

    def _take(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame["type"] == "stop":
                raise PlatformGone
            if frame.get("token") != self._token:
                continue  # meant for an attempt that has ended
            if frame["type"] == "answer":
                self._answer(frame)
            elif frame["type"] == "cancel":
                self._end(endings.cancelled())

    def _put(self, frame: Frame) -> None:
        frame["token"] = self._token
        self._to_platform.put(frame)
        if self._held_since is None:
            self._held_since = time.monotonic()

    def _put_log(self) -> None:
        if self._log.lines:
            self._put({"type": "log", "lines": self._log.take()})

    def _flush_when_due(self) -> None:
        if self._held_since is None:
            return
        held = time.monotonic() - self._held_since
        if held >= _HOLD_SECONDS or self._to_platform.size >= _HOLD_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._to_platform.flush()
        self._held_since = None

    def _mind_backlog(self) -> None:
        """Stop reading from the task while the platform has not taken what there is."""
        backlogged = self._to_platform.size > _BACKLOG_BYTES
        if backlogged and not self._backlogged:
            self._lines.pause(self._task_fds())
        elif self._backlogged and not backlogged:
            self._lines.resume()
        self._backlogged = backlogged

    # The task's side.

    def _task_fds(self) -> list[int]:
        return [self._link.fileno(), *(stream.fd for stream in self._streams)]

    def _on_link(self) -> bool:
        try:
            frames, alive = self._link.receive_available()
            for frame in frames:
                self._on_task_frame(frame)
        except wire.StreamCut:
            return False  # it was ended while it was sending
        except (wire.WireError, OSError, KeyError, TypeError, ValueError) as error:
            # Only a task that writes to the worker's socket itself gets here.
            self._end(endings.failed("raised", "the worker cannot read its task: %s" % error))
            return False
        return alive and self._result is None  # after the result, its end comes by itself

    def _on_task_frame(self, frame: Frame) -> None:
        self._heard = True
        kind = frame["type"]
        if kind == "result":
            self._result = self._result or endings.by_result(frame)
        elif kind == "started":
            self._put({"type": kind, "at": time.time()})
        elif kind == "call":
            self._put(_checked_call(frame))
            self._flush()

    def _answer(self, frame: Frame) -> None:
        self._to_task.put(frame)
        self._to_task.flush()

    def _on_template(self) -> bool:
        alive = self._template.hear()
        if not alive:
            processes.kill(self._template.pid)  # it is of no use without its line
        return alive

    def _on_wakeup(self) -> bool:
        """See whether the template has ended; what holds its line may live on."""
        os.read(self._wakeup, 4096)
        if not self._template.ended and self._template.gone:
            self._template.hear()
            status = self._template.end()
            self._seat.status = status if self._seat.status is None else self._seat.status
        return True

    def _over(self) -> bool:
        done = self._template.runs_tasks and self._result is not None
        return done or self._seat.status is not None

    def _end_rest(self) -> None:
        if self._template.ended:
            processes.sweep()
        else:
            processes.sweep_orphans(self._template.pid)

    @property
    def _process(self) -> int:
        return self._seat.pid or self._template.pid

    def _tree(self) -> list[int]:
        """Return the task's processes: all below the worker but the template's own.

        What a task's process started and left comes to the worker itself.
        """
        if not self._seat.pid:  # the template does the task, or imports for it
            return processes.descendants(os.getpid())
        left = processes.descendants(os.getpid(), without=self._template.pid)
        return [*left, self._seat.pid, *processes.descendants(self._seat.pid)]

    def _read_result(self) -> None:
        """Read what the process sent and nobody took before it ended."""
        poll = select.poll()
        poll.register(self._link.fileno(), select.POLLIN)
        while self._result is None and poll.poll(0):
            if not self._on_link():
                return

    # The end.

    def _wait_ms(self) -> int | None:
        now = time.monotonic()
        waits = []
        if self._deadline is not None and self._forced is None:
            waits.append(max(0.0, self._deadline - now))
        if self._memory.watch_seconds is not None:
            waits.append(self._memory.watch_seconds)
        if self._held_since is not None:
            waits.append(max(0.0, self._held_since + _HOLD_SECONDS - now))
        return int(min(waits) * 1000) + 1 if waits else None

    def _enforce_limits(self) -> None:
        if self._forced is not None or self._seat.status is not None:
            return
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._end(endings.timed_out(self._limits))
        elif self._memory.watch_seconds is not None and self._memory.exceeded(self._tree):
            self._end(endings.out_of_memory(self._limits))

    def _end(self, outcome: Frame) -> None:
        """End the task by force, unless it has its result already."""
        self._forced = self._forced or self._result or outcome
        processes.kill_tree(self._process)

    def _outcome(self) -> Frame:
        outcome = dict(self._forced or self._natural_outcome())
        outcome["duration_s"] = time.monotonic() - self._started
        outcome["peak_memory_bytes"] = self._seat.peak_kib * 1024 or None
        return outcome

    def _natural_outcome(self) -> Frame:
        result = self._result or {}
        if result.get("kind") == "returned":
            return result
        if result.get("kind") == "out-of-memory" or self._memory.exceeded(self._tree):
            return endings.out_of_memory(self._limits, result, files_count=self._memory.files_count)
        return self._result or endings.by_status(self._seat.status or 0)


def _checked_call(frame: Frame) -> Frame:
    """Return a call with what belongs to it and no more.

    Raises:
        ValueError, KeyError: No Context of ours sent this.
    """
    call = {name: frame[name] for name in ("type", "n", "method", "params")}
    if (type(call["n"]), type(call["method"]), type(call["params"])) != (int, str, dict):
        raise ValueError("a call without a number, a method and parameters")
    return call

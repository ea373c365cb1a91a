"""The platform's end of the line to a worker, which may have become a task's own."""

from __future__ import annotations

import select
import socket
import threading
from collections import deque
from typing import Any

from stepline.workers.deadline import Deadline
from stepline_sdk import wire


class Line:
    """Frames to and from a worker; nothing here waits for longer than until a deadline.

    `send` and `hang_up` may be called from any thread, the rest from one at a time.

    Args:
        connected: Socket to the worker; closed with the line.
        deadline: Until when to wait.
    """

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline
        self._connection = wire.Connection(connected)
        self._frames: deque[dict[str, Any]] = deque()
        self._sending = threading.Lock()
        self._wait_s: float | None = None

    def send(self, data: bytes) -> None:
        """Send an encoded frame; nothing happens where the worker is gone.

        Raises:
            TimeoutError: The worker does not read.
        """
        left = memoryview(data)
        with self._sending:
            while left:
                self._set_wait()
                try:
                    left = left[self._socket.send(left) :]
                except TimeoutError:
                    continue  # which tells of the deadline
                except OSError:
                    return  # the next frame that we wait for tells that the worker is gone

    def next(self) -> dict[str, Any] | None:
        """Wait for the next frame; None at the worker's end.

        Raises:
            TimeoutError: There was none in time.
            WireError: It is no frame.
        """
        while not self._frames:
            try:
                self._set_wait()
                frames, alive = self._connection.receive_available()
            except TimeoutError:
                self._deadline.wait_s()
                continue
            except OSError:
                return None
            self._frames.extend(frames)
            if not alive and not frames:
                return None
        self._deadline.wait_s()
        return self._frames.popleft()

    @property
    def is_quiet(self) -> bool:
        """Whether the worker is there, and has said nothing that was not heard."""
        return not self._frames and not self._is(select.POLLIN)

    def hang_up(self, data: bytes) -> None:
        """Send a last frame, if that can be done at once, and no more."""
        try:
            if self._is(select.POLLOUT):
                self._connection.send_some(data)
            self._socket.shutdown(socket.SHUT_WR)
        except (OSError, ValueError):
            pass  # it is gone already, or about to; or this end is

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _is(self, event: int) -> bool:
        """Tell whether an event is there, or the other end is gone."""
        poll = select.poll()
        poll.register(self._socket, event)
        return bool(poll.poll(0))

    def _set_wait(self) -> None:
        wait_s = self._deadline.wait_s()
        # Mostly the same as before, which then costs no call of the system.
        if wait_s != self._wait_s:
            self._socket.settimeout(wait_s)
            self._wait_s = wait_s

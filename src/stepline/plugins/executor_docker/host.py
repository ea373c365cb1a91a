"""A container that a worker runs in."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress

from stepline.errors import PlatformError, SteplineError
from stepline.plugins.executor_docker.folders import ContainerFolder
from stepline.ports.engine import Container

_START_SECONDS = 60.0
_LOOK_SECONDS = 0.25
_END_SECONDS = 5.0
_WORDS = 2000
_KILLED = 137
_CREDENTIALS = struct.Struct("3i")


class ContainerHost:
    """A worker's program in a container.

    Args:
        start: Starts the container, whose program connects to the folder's socket.
        folder: What it shares with the platform; removed with it.
        python: Its interpreter, for messages.
        stray: Takes a container that cannot be removed now.

    Raises:
        PlatformError: The container or the program in it does not start.
    """

    mark = ""

    def __init__(
        self,
        start: Callable[[], Container],
        folder: ContainerFolder,
        *,
        python: str,
        stray: Callable[[Container], None],
    ) -> None:
        self.python = python
        self._folder = folder
        self._stray = stray
        self._process: int | None = None
        listening = folder.listen()
        try:
            self._container = start()
        except BaseException:
            listening.close()
            folder.remove()
            raise
        try:
            self.socket = self._accepted(listening)
        except BaseException:
            self.remove(None)
            raise
        finally:
            folder.stop_listening(listening)
        self._process = _process_behind(self.socket)

    def ended(self, *, within_s: float) -> bool:
        """Wait for the program's end for at most so long; tell whether it has come."""
        if self._process is None:
            with suppress(SteplineError):
                return self._container.wait(timeout_s=within_s) is not None
            return False
        poll = select.poll()
        poll.register(self._process, select.POLLIN)
        return bool(poll.poll(within_s * 1000))

    def kill(self) -> None:
        """End the program by force, and with it the container."""
        if self._process is not None:
            # Needs no engine, which may be gone. With its first process, a container ends.
            with suppress(OSError):
                signal.pidfd_send_signal(self._process, signal.SIGKILL)
        with suppress(SteplineError):
            self._container.kill()

    def out_of_memory(self) -> bool:
        """Tell, after the program's end, whether it was ended for too little memory."""
        with suppress(SteplineError):
            end = self._container.wait(timeout_s=_END_SECONDS)
            return end is not None and end.out_of_memory and end.exit_code == _KILLED
        return False

    def words(self) -> str:
        """Return the last that the container printed."""
        with suppress(SteplineError):
            return self._container.output()[-_WORDS:].strip()
        return ""

    def remove(self, cgroup: str | None) -> None:
        """Remove the container, then what it shared with the platform."""
        try:
            self._container.remove()
        except SteplineError:
            self._stray(self._container)
        self._folder.remove()
        if self._process is not None:
            os.close(self._process)
            self._process = None

    def _accepted(self, listening: socket.socket) -> socket.socket:
        """Wait for the worker's connection, or the container's end without one."""
        deadline = time.monotonic() + _START_SECONDS
        listening.settimeout(_LOOK_SECONDS)
        while time.monotonic() < deadline:
            try:
                return listening.accept()[0]
            except TimeoutError:
                if self._container.wait(timeout_s=0) is not None:
                    break
        what = f"the worker on {self.python} does not start. {self.words()}".strip()
        raise PlatformError(what, retryable=True)


def _process_behind(connection: socket.socket) -> int | None:
    """Return a descriptor of the process that connected; None where it cannot be seen."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid = _CREDENTIALS.unpack(told)[0]
    try:
        return os.pidfd_open(pid) if pid > 0 else None
    except OSError:
        return None

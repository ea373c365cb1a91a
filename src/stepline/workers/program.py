"""Programs that the platform starts and ends itself."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stepline.errors import PlatformError

GIVEN = 5
"""Number of the descriptor at which a program finds what it is given besides its arguments."""

# What there is too little of now; also another process that writes to the file it came from.
_MAY_PASS = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.ETXTBSY)

Start = Callable[[Callable[[], int]], int]
"""Calls what starts a program, in the thread that is to be its parent."""


def start_here(start: Callable[[], int]) -> int:
    """Start a program from the calling thread."""
    return start()


class Program:
    """A program in a session of its own, with no input; several threads may use it.

    Args:
        command: Full path of the program, and its arguments.
        environ: All of its environment.
        output: File that its output is added to.
        connection: Descriptor that it inherits, whose number is added as ``--fd N``.
        given: Descriptor, not below 10, that it inherits as number `GIVEN`.
        start: Chooses the thread that starts it.

    Raises:
        PlatformError: It cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        output: str,
        connection: int = -1,
        given: int = -1,
        start: Start = start_here,
    ) -> None:
        self._lock = threading.Lock()
        actions: list[tuple[Any, ...]] = []
        arguments = list(command)
        if connection >= 0:
            # As a copy under another number, it is inherited by this process alone.
            target = 4 if connection == 3 else 3
            actions.append((os.POSIX_SPAWN_DUP2, connection, target))
            arguments += ["--fd", str(target)]
        if given >= 0:
            actions.append((os.POSIX_SPAWN_DUP2, given, GIVEN))
        actions += [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        try:
            self.pid = start(
                lambda: os.posix_spawn(
                    command[0],
                    arguments,
                    environ,
                    file_actions=actions,
                    setsid=True,
                    setsigmask=[],
                )
            )
        except OSError as error:
            what = f"{command[0]} cannot be started: {error.strerror}"
            raise PlatformError(what, retryable=error.errno in _MAY_PASS) from error

    def ended(self, *, within_s: float) -> bool:
        """Wait for its end for at most so long; tell whether it has come."""
        deadline = time.monotonic() + within_s
        pause = 0.0001
        while not self._reap():
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        return True

    def kill(self, choose: Callable[[int], Sequence[int]] = lambda pid: [pid]) -> None:
        """End it by force, if it has not ended.

        Args:
            choose: Returns the processes to end, given its id, which stays its own meanwhile.
        """
        with self._lock:
            for pid in choose(self.pid) if self.pid else ():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def _reap(self) -> bool:
        with self._lock:
            try:
                if self.pid and os.waitpid(self.pid, os.WNOHANG)[0]:
                    self.pid = 0
            except ChildProcessError:
                self.pid = 0
            return self.pid == 0

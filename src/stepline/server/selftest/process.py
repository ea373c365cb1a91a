"""The driver's end of a service process: start it, ask it, kill it."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.util import get_temp_dir
from typing import Any

from stepline.errors import PlatformError
from stepline.server.selftest.places import Places
from stepline.server.selftest.points import Point

_STOP_S = 30.0
_KILLED = -signal.SIGKILL


class Gone(Exception):
    """The service has ended."""


class ServiceProcess:
    """A service in a process of its own.

    Processes are forked by a server that has imported all that a service needs, and has no
    threads: a start then takes about as long as the service's own.

    Args:
        places: Where everything is.
        target: Where the service is to die; None for nowhere.
    """

    def __init__(self, places: Places, target: Point | None = None) -> None:
        from stepline.server.selftest.child import run

        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["stepline.server.selftest.preload"])
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=run, args=(theirs, places), kwargs={"target": target}, daemon=True
        )
        self._process.start()
        theirs.close()
        self._is_ready = False

    def wait_ready(self, until: float) -> None:
        """Wait until the service works.

        Raises:
            Gone: It ended before.
            TimeoutError: It is not ready by then, by the monotonic clock.
        """
        if not self._is_ready:
            self._is_ready = self._receive(until) == "ready"

    def ask(self, name: str, arguments: Mapping[str, Any], *, until: float) -> Any:
        """Have a command done and return its result.

        Raises:
            Gone: The service has ended; whether the command was done is unknown.
            TimeoutError: It is not done by then; nothing can be asked any more.
        """
        self.wait_ready(until)
        try:
            self._connection.send((name, dict(arguments)))
        except OSError as error:
            raise Gone from error
        return self._receive(until)

    def sleep(self, until: float) -> None:
        """Wait.

        Raises:
            Gone: The service ended meanwhile.
        """
        self._process.join(max(0.0, until - time.monotonic()))
        if self._process.exitcode is not None:
            raise Gone

    def kill(self) -> None:
        """Kill the service, which may be dead already, and wait for its end."""
        if self._process.pid is not None and self._process.exitcode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        self._connection.close()

    @property
    def was_killed(self) -> bool:
        """Whether the service, which has ended, was killed and did not end by itself."""
        self._process.join(_STOP_S)
        return self._process.exitcode == _KILLED

    def stop(self) -> None:
        """End the service orderly.

        Raises:
            PlatformError: It did not end well, or not in time; it is dead now.
        """
        self._connection.close()
        self._process.join(_STOP_S)
        code = self._process.exitcode
        if code != 0:
            self.kill()
            raise PlatformError(f"the service did not end orderly: exit code {code}")

    @staticmethod
    def clean_up() -> None:
        """Remove what the server that forks has in the folder for temporary files.

        It would itself at this process's end, were that an ordinary one. No service can be
        started afterwards.
        """
        shutil.rmtree(get_temp_dir(), ignore_errors=True)

    def _receive(self, until: float) -> Any:
        try:
            if not self._connection.poll(max(0.0, until - time.monotonic())):
                raise TimeoutError
            return self._connection.recv()
        except (EOFError, ConnectionResetError, BrokenPipeError) as error:
            raise Gone from error

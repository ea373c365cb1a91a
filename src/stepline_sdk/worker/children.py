"""Starting of the processes that tasks run in."""

from __future__ import annotations

import os
import socket
import sys

from stepline_sdk import wire
from stepline_sdk.worker import capture, child, processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable

    from stepline_sdk.worker.memory import MemoryLimit


class Child:
    """A process for tasks, and the worker's ends of its pipes.

    Attributes:
        pid: Process id; also the id of its session and process group.
        connection: Frames from and to the process.
    """

    def __init__(self, pid: int, connection: wire.Connection, *, out: int, err: int) -> None:
        self.pid = pid
        self.connection = connection
        self._ends = (out, err)

    def streams(self, log: capture.Log) -> list[capture.Stream]:
        """Return its output streams, adding to ``log``."""
        out, err = self._ends
        return [capture.Stream(out, "out", log), capture.Stream(err, "err", log)]

    def close(self) -> None:
        """Close the worker's ends."""
        self.connection.close()
        for fd in self._ends:
            os.close(fd)


def fork(
    work: Callable[[wire.Connection], int], *, memory: MemoryLimit, private: Iterable[int]
) -> Child:
    """Fork a process that calls ``work(connection)``.

    Args:
        work: Returns the exit code, or replaces the process.
        memory: The limit to come under.
        private: The worker's own descriptors. A task, or what it leaves behind, must not
            have them: the platform would take the worker for alive.
    """
    here, there = socket.socketpair()
    out, out_end = os.pipe()
    err, err_end = os.pipe()
    worker = os.getpid()
    pid = os.fork()
    if pid:
        for end in (out_end, err_end):
            os.close(end)
        there.close()
        return Child(pid, wire.Connection(here), out=out, err=err)
    code = 1
    try:
        os.setsid()
        processes.die_with_parent(worker)
        child.reset_signals()
        os.dup2(out_end, 1)
        os.dup2(err_end, 2)
        for end in (out, err, out_end, err_end, here.detach(), *private):
            os.close(end)
        memory.enter()
        code = work(wire.Connection(there))
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        child.flush()
        os._exit(code)


def new_interpreter(connection: wire.Connection) -> int:
    """Replace the calling process by a new interpreter that runs tasks."""
    fd = connection.fileno()
    os.set_inheritable(fd, True)
    start = os.path.join(os.path.dirname(os.path.abspath(__file__)), "start.py")
    arguments = ["-I", "-X", "utf8", start, "--child", "1", "--fd", str(fd)]
    os.execv(sys.executable, [sys.executable, *arguments])


def warm(connection: wire.Connection) -> int:
    """Run task after task in the calling process."""
    child.serve(connection)
    return 0

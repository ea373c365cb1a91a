"""Templates: processes that have loaded a task script, of which each task gets a copy.

The worker itself runs nothing of a task script. It starts a template, hands it the
worker's end of each task's connection, and hears from it how the task's process ended.
So an import that hangs, crashes or eats memory is a matter of one task, and the worker
is there to say so.
"""

from __future__ import annotations

import gc
import importlib
import os
import socket
import struct
import sys

from stepline_sdk import wire
from stepline_sdk.worker import capture, child, modules, processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable, Sequence

    from stepline_sdk.worker.memory import MemoryLimit

    Serve = Callable[["_Control"], None]

_NOTE = struct.Struct("=iiq")
_FD = struct.Struct("=i")


class Note:
    """What a template tells of a task's process.

    Attributes:
        pid: Process id; also the id of its session and process group.
        status: How it ended, as `os.wait4` has it; None while it runs.
        peak_kib: Largest resident size, KiB; 0 while it runs.
    """

    def __init__(self, pid: int, status: int, peak_kib: int) -> None:
        self.pid = pid
        self.status = None if status < 0 else status
        self.peak_kib = peak_kib


class Template:
    """The worker's handle on a template.

    Attributes:
        pid: Its process id.
        runs_tasks: Whether it runs tasks itself.
        ended: Whether `end` was called.
    """

    def __init__(
        self,
        isolation: str,
        names: Sequence[str],
        *,
        memory: MemoryLimit,
        private: Iterable[int],
    ) -> None:
        """Start a template.

        Args:
            isolation: Whether a task is a ``fork`` of it, a new ``process``, or runs in
                the template itself, which is of ``reuse``.
            names: Modules to import at once.
            memory: The limit to come under.
            private: The worker's own descriptors. A task, or what it leaves behind, must
                not have them: the platform would take the worker for alive.
        """
        self.runs_tasks = isolation == "reuse"
        self.ended = False
        self._control, there = socket.socketpair()
        self._out, out_end = os.pipe()
        self._err, err_end = os.pipe()
        worker = os.getpid()
        self.pid = os.fork()
        if self.pid:
            there.close()
            os.close(out_end)
            os.close(err_end)
            for fd in (self._out, self._err):
                os.set_blocking(fd, False)
            return
        try:
            processes.die_with_parent(worker)
            child.reset_signals()
            os.dup2(out_end, 1)
            os.dup2(err_end, 2)
            for fd in (self._out, self._err, out_end, err_end, self._control.detach(), *private):
                os.close(fd)
            memory.enter()
            _serve(_Control(there), isolation, names)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            child.flush()
            os._exit(1)

    @property
    def control(self) -> int:
        """Descriptor that is readable when there are `notes`, or the template is gone."""
        return self._control.fileno()

    def streams(self, log: capture.Log) -> list[capture.Stream]:
        """Return the output streams, its own and its tasks', adding to ``log``."""
        return [capture.Stream(self._out, "out", log), capture.Stream(self._err, "err", log)]

    def hand_over(self, link: socket.socket) -> bool:
        """Have a task begin that is served by the other end of ``link``.

        Returns:
            False where the template is gone.
        """
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, _FD.pack(link.fileno()))
        try:
            self._control.sendmsg([b"t"], [rights])
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def notes(self) -> tuple[list[Note], bool]:
        """Read what the template has told, and whether it is still there."""
        try:
            data = self._control.recv(4096)
        except ConnectionResetError:
            data = b""
        whole = len(data) - len(data) % _NOTE.size
        return [Note(*fields) for fields in _NOTE.iter_unpack(data[:whole])], bool(data)

    def end(self) -> int:
        """End the template, and return how it ended; its output can still be read."""
        self.ended = True
        processes.kill(self.pid)
        return os.waitpid(self.pid, 0)[1]

    def close(self) -> None:
        """Close the worker's ends."""
        self._control.close()
        os.close(self._out)
        os.close(self._err)


class _Control:
    """A template's line to its worker."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def next_link(self) -> wire.Connection | None:
        """Wait for the next task; None when the worker is gone."""
        data, ancillary, _, _ = self._socket.recvmsg(1, socket.CMSG_SPACE(_FD.size))
        if not data:
            return None
        (fd,) = _FD.unpack(ancillary[0][2])
        return wire.Connection(socket.socket(fileno=fd))

    def tell(self, pid: int, *, status: int = -1, peak_kib: int = 0) -> None:
        """Tell of a task's process."""
        self._socket.send(_NOTE.pack(pid, status, peak_kib))

    def close(self) -> None:
        """Close this end, in a task's process."""
        os.close(self._socket.detach())


def _serve(control: _Control, isolation: str, names: Iterable[str]) -> None:
    """Be a template until the worker is gone."""
    modules.extend_import_path()
    child.line_buffer()
    if isolation != "process":
        child.import_ahead()
    sys.dont_write_bytecode = True
    for name in names:
        _import(name)
    gc.freeze()
    run = {"fork": _run_copy, "process": _run_interpreter, "reuse": _run_here}[isolation]
    while True:
        link = control.next_link()
        if link is None:
            return
        _reset_output()
        run(control, link)


def _import(name: str) -> None:
    """Import a module; where that fails, the task does it again and reports it."""
    try:
        importlib.import_module(name)
    except BaseException:
        sys.modules.pop(name, None)
    child.flush()


def _reset_output() -> None:
    """Undo what a task may have done to the streams that all of them share."""
    for fd in (1, 2):
        os.set_blocking(fd, True)


def _run_copy(control: _Control, link: wire.Connection) -> None:
    call = child.Call.receive(link)
    if call is not None:
        _in_a_fork(control, link, call.perform)


def _run_interpreter(control: _Control, link: wire.Connection) -> None:
    fd = link.fileno()
    start = os.path.join(os.path.dirname(os.path.abspath(__file__)), "start.py")
    arguments = ["-I", "-X", "utf8", start, "--child", "1", "--fd", str(fd)]

    def become_interpreter() -> None:
        os.set_inheritable(fd, True)
        os.execv(sys.executable, [sys.executable, *arguments])

    _in_a_fork(control, link, become_interpreter)


def _run_here(control: _Control, link: wire.Connection) -> None:
    call = child.Call.receive(link)
    code = None if call is None else call.perform()
    if code is not None:
        os._exit(code)
    link.close()


def _in_a_fork(control: _Control, link: wire.Connection, work: Callable[[], int | None]) -> None:
    template = os.getpid()
    pid = os.fork()
    if pid:
        control.tell(pid)
        link.close()
        _, status, usage = os.wait4(pid, 0)
        control.tell(pid, status=status, peak_kib=usage.ru_maxrss)
        return
    code = 1
    try:
        os.setsid()
        processes.die_with_parent(template)
        control.close()
        code = work() or 0
    except BaseException:
        import traceback

        traceback.print_exc()
        child.flush()
    finally:
        os._exit(code)

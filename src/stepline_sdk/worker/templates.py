"""Templates: processes that have loaded a task script, of which each task gets a copy.

The worker itself runs nothing of a task script. It starts a template, which keeps one
copy of itself waiting for the next task, and tells the worker how each task's process
ended. So an import that hangs, crashes or eats memory is a matter of one task, and the
worker is there to say so.
"""

from __future__ import annotations

import gc
import importlib
import os
import socket
import struct
import sys
from collections import deque

from stepline_sdk import wire
from stepline_sdk.worker import capture, child, modules, processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable, Sequence

    from stepline_sdk.worker.folders import TaskFolders
    from stepline_sdk.worker.memory import MemoryLimit

    # Makes the process of a seat, and returns its id.
    Start = Callable[["_Control", wire.Connection], int]

_NOTE = struct.Struct("=iiq")
_FD = struct.Struct("=i")


class Seat:
    """A process that waits for a task, or has one.

    Attributes:
        connection: Frames from and to it.
        pid: Its process id, and that of its session and process group; 0 before it is
            there, and where tasks have no process of their own.
        status: How it ended, as `os.wait4` has it; None while it runs.
        peak_kib: Largest resident size, KiB; 0 while it runs.
    """

    def __init__(self, connection: wire.Connection) -> None:
        self.connection = connection
        self.pid = 0
        self.status: int | None = None
        self.peak_kib = 0


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
        home: TaskFolders,
        folders: TaskFolders,
        memory: MemoryLimit,
        private: Iterable[int],
    ) -> None:
        """Start a template.

        Args:
            isolation: Whether a task is a ``fork`` of it, a new ``process``, or runs in
                the template itself, which is of ``reuse``.
            names: Modules to import at once.
            home: Folders for the template itself.
            folders: Folders that each task finds fresh.
            memory: The limit to come under.
            private: The worker's own descriptors. A task, or what it leaves behind, must
                not have them: the platform would take the worker for alive.
        """
        self.runs_tasks = isolation == "reuse"
        self.ended = False
        self._seats: deque[Seat] = deque()
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
            self._prepare()
            return
        try:
            processes.die_with_parent(worker)
            child.reset_signals()
            os.dup2(out_end, 1)
            os.dup2(err_end, 2)
            for fd in (self._out, self._err, out_end, err_end, self._control.detach(), *private):
                os.close(fd)
            memory.enter()
            home.enter()
            start = _load(isolation, names)
            folders.set_variables()
            _fill_seats(_Control(there), start)
        except BaseException:
            _print_traceback()
        finally:
            os._exit(1)

    @property
    def control(self) -> int:
        """Descriptor that is readable when there is something to `hear`."""
        return self._control.fileno()

    def streams(self, log: capture.Log) -> list[capture.Stream]:
        """Return the output streams, its own and its tasks', adding to ``log``."""
        return [capture.Stream(self._out, "out", log), capture.Stream(self._err, "err", log)]

    def take(self) -> Seat:
        """Return the seat for the next task, and have another one made."""
        seat = self._seats[-1]
        self._prepare()
        return seat

    def release(self, seat: Seat) -> None:
        """Forget a seat whose task is over."""
        seat.connection.close()
        if seat in self._seats:
            self._seats.remove(seat)

    def hear(self) -> bool:
        """Take in what the template tells of its seats; False where it is gone."""
        try:
            data = self._control.recv(4096)
        except ConnectionResetError:
            data = b""
        whole = len(data) - len(data) % _NOTE.size
        for note in _NOTE.iter_unpack(data[:whole]):
            self._note(*note)
        return bool(data)

    def end(self) -> int:
        """End the template, and return how it ended; its output can still be read."""
        self.ended = True
        processes.kill_tree(self.pid)
        return os.waitpid(self.pid, 0)[1]

    def close(self) -> None:
        """Close the worker's ends."""
        for seat in self._seats:
            seat.connection.close()
        self._control.close()
        os.close(self._out)
        os.close(self._err)

    def _prepare(self) -> None:
        link, there = socket.socketpair()
        self._seats.append(Seat(wire.Connection(link)))
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, _FD.pack(there.fileno()))
        try:
            self._control.sendmsg([b"t"], [rights])
        except OSError:
            pass  # it is gone; who takes the seat finds that out
        there.close()

    def _note(self, pid: int, status: int, peak_kib: int) -> None:
        """Take one note: seats are filled, and end, in the order in which they were made."""
        if status < 0:
            next(seat for seat in self._seats if not seat.pid).pid = pid
            return
        seat = self._seats.popleft()
        seat.status, seat.peak_kib = status, peak_kib


class _Control:
    """A template's line to its worker."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._fd = sock.fileno()

    def next_link(self) -> wire.Connection | None:
        """Wait for the connection of the next seat; None when the worker is gone."""
        data, ancillary, _, _ = self._socket.recvmsg(1, socket.CMSG_SPACE(_FD.size))
        if not data:
            return None
        (fd,) = _FD.unpack(ancillary[0][2])
        return wire.Connection(socket.socket(fileno=fd))

    def tell(self, pid: int, *, status: int = -1, peak_kib: int = 0) -> None:
        """Tell that a process is there, or how it ended."""
        self._socket.send(_NOTE.pack(pid, status, peak_kib))

    def close(self) -> None:
        """Close this end, in a process that ends without Python's own clearing up."""
        os.close(self._fd)


def _load(isolation: str, names: Iterable[str]) -> Start:
    """Import what tasks need, and return how their processes are made."""
    modules.extend_import_path()
    child.line_buffer()
    if isolation != "process":
        child.import_ahead()
    sys.dont_write_bytecode = True
    for name in names:
        _import(name)
    gc.freeze()
    return {"fork": _fork_copy, "process": _fork_interpreter, "reuse": _run_here}[isolation]


def _fill_seats(control: _Control, start: Start) -> None:
    """Make the process of each seat, then wait for the one before to end.

    Until the worker is gone.
    """
    earlier = 0
    while True:
        link = control.next_link()
        if link is None:
            return
        pid = start(control, link)
        link.close()
        if pid:
            control.tell(pid)
        if earlier:
            _, status, usage = os.wait4(earlier, 0)
            control.tell(earlier, status=status, peak_kib=usage.ru_maxrss)
        earlier = pid


def _import(name: str) -> None:
    """Import a module; where that fails, the task does it again and reports it."""
    try:
        importlib.import_module(name)
    except BaseException:
        sys.modules.pop(name, None)
    child.flush()


def _fork_copy(control: _Control, link: wire.Connection) -> int:
    return _fork(control, lambda: child.perform(link))


def _fork_interpreter(control: _Control, link: wire.Connection) -> int:
    fd = link.fileno()
    start = os.path.join(os.path.dirname(os.path.abspath(__file__)), "start.py")
    arguments = ["-I", "-X", "utf8", start, "--child", "1", "--fd", str(fd)]

    def become_interpreter() -> None:
        os.set_inheritable(fd, True)
        os.execv(sys.executable, [sys.executable, *arguments])

    return _fork(control, become_interpreter)


def _run_here(control: _Control, link: wire.Connection) -> int:
    code = child.perform(link)
    if code is not None:
        os._exit(code)
    return 0


def _fork(control: _Control, work: Callable[[], int | None]) -> int:
    template = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        processes.die_with_parent(template)
        control.close()
        code = work() or 0
    except BaseException:
        _print_traceback()
    finally:
        os._exit(code)


def _print_traceback() -> None:
    import traceback

    traceback.print_exc()
    child.flush()

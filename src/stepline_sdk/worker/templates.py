"""Templates: processes that have loaded a task script, of which each task gets a copy.

The worker itself runs nothing of a task script. It starts a template, which keeps copies
of itself waiting for the next tasks, and tells the worker how each task's process ended.
So an import that hangs, crashes or eats memory is a matter of one task, and the worker is
there to say so.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import struct
import sys
from collections import deque

from stepline_sdk import wire
from stepline_sdk.worker import capture, child, modules, processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable, NoReturn, Sequence

    from stepline_sdk.worker.folders import TaskFolders
    from stepline_sdk.worker.memory import MemoryLimit

    # Makes the process of a seat, and returns its id.
    Start = Callable[["_Control", wire.Connection], int]

_NOTE = struct.Struct("=iiq")
_FD = struct.Struct("=i")
# Copies that are there at a time, of which one has a task: with fewer, a short task waits for
# the next copy to be made ready; with more, nothing is quicker.
COPIES = 4
# One starts while the other has its task: an interpreter of its own takes long, and memory.
_INTERPRETERS = 2
# After so many runs the interpreter has adapted its code to what it does.
_REHEARSALS = 10


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

    Args:
        isolation: Whether a task is a ``fork`` of it, a new ``process``, or runs in the
            template itself, which is of ``reuse``.
        names: Modules to import at once.
        home: Folders for the template itself.
        folders: Folders that each task finds fresh.
        memory: The limit to come under.
        private: The worker's own descriptors. A task, or what it leaves behind, must not
            have them: the platform would take the worker for alive.

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
        self.runs_tasks = isolation == "reuse"
        self.ended = False
        self._seats: deque[Seat] = deque()
        self._free: deque[Seat] = deque()
        self._control, control = socket.socketpair()
        self._out, out = os.pipe()
        self._err, err = os.pipe()
        worker = os.getpid()
        self.pid = os.fork()
        if not self.pid:
            for fd in (self._out, self._err, self._control.detach(), *private):
                os.close(fd)
            _become_template(
                lambda: _serve(_Control(control), isolation, names, home=home, folders=folders),
                outputs=(out, err),
                memory=memory,
                worker=worker,
            )
        control.close()
        for ours, theirs in ((self._out, out), (self._err, err)):
            os.close(theirs)
            os.set_blocking(ours, False)
        for _ in range(COPIES if isolation == "fork" else 1):
            self.prepare()

    @property
    def control(self) -> int:
        """Descriptor that is readable when there is something to `hear`."""
        return self._control.fileno()

    def streams(self, log: capture.Log) -> list[capture.Stream]:
        """Return the output streams, its own and its tasks', adding to ``log``."""
        return [capture.Stream(self._out, "out", log), capture.Stream(self._err, "err", log)]

    def prepare(self) -> None:
        """Have another seat made, for a task to come."""
        link, there = socket.socketpair()
        seat = Seat(wire.Connection(link))
        self._seats.append(seat)
        self._free.append(seat)
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, _FD.pack(there.fileno()))
        try:
            self._control.sendmsg([b"t"], [rights])
        except OSError:
            pass  # it is gone; who takes the seat finds that out
        there.close()

    def take(self) -> Seat:
        """Return the seat that is ready for a task, or nearly."""
        return self._free.popleft()

    def release(self, seat: Seat) -> None:
        """Forget a seat whose task is over."""
        seat.connection.close()
        if seat in self._seats:
            self._seats.remove(seat)

    def hear(self) -> bool:
        """Take in what the template tells of its seats; False where it tells no more."""
        try:
            data = self._control.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        whole = len(data) - len(data) % _NOTE.size
        for note in _NOTE.iter_unpack(data[:whole]):
            self._note(*note)
        return bool(data)

    @property
    def gone(self) -> bool:
        """Whether its process has ended."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

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

    def tell(self, notes: bytes) -> None:
        """Tell which processes are there, and how others ended."""
        self._socket.send(notes)

    def close(self) -> None:
        """Close this end, in a process that ends without Python's own clearing up."""
        os.close(self._fd)


def _become_template(
    serve: Callable[[], None], *, outputs: Sequence[int], memory: MemoryLimit, worker: int
) -> NoReturn:
    try:
        processes.die_with_parent(worker)
        processes.show_inside()  # the worker's line is closed by now
        child.reset_signals()
        for fd, theirs in zip((1, 2), outputs):
            os.dup2(theirs, fd)
            os.close(theirs)
        memory.enter()
        serve()
    except BaseException:
        _print_traceback()
    finally:
        os._exit(1)


def _serve(
    control: _Control,
    isolation: str,
    names: Iterable[str],
    *,
    home: TaskFolders,
    folders: TaskFolders,
) -> None:
    """Import what tasks need, and make their processes until the worker is gone."""
    home.enter()
    modules.extend_import_path()
    child.line_buffer()
    if isolation != "process":
        child.import_ahead()
    sys.dont_write_bytecode = True
    for name in names:
        _import(name)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # `os.wait4` needs it
    folders.set_variables()
    if isolation == "fork":
        child.rehearse(_REHEARSALS)
    gc.freeze()
    starts = {"fork": _fork_copy, "process": _fork_interpreter, "reuse": _run_here}
    at_once = COPIES if isolation == "fork" else _INTERPRETERS
    _fill_seats(control, starts[isolation], at_once=at_once)


def _fill_seats(control: _Control, start: Start, *, at_once: int) -> None:
    """Make the process of each seat; with ``at_once`` there, wait for the first to end."""
    there: deque[int] = deque()
    while True:
        link = control.next_link()
        if link is None:
            return
        pid = start(control, link)
        link.close()
        if not pid:
            continue
        there.append(pid)
        # Both notes at once: each wakes the worker.
        notes = _NOTE.pack(pid, -1, 0)
        if len(there) == at_once:
            first = there.popleft()
            _, status, usage = os.wait4(first, 0)
            notes = _NOTE.pack(first, status, usage.ru_maxrss) + notes
        control.tell(notes)


def _import(name: str) -> None:
    """Import a module; where that fails, the task does it again and reports it."""
    try:
        importlib.import_module(name)
    except BaseException:
        sys.modules.pop(name, None)
    child.flush()


def _fork_copy(control: _Control, link: wire.Connection) -> int:
    def work() -> int | None:
        child.rehearse(1)
        return child.perform(link)

    return _fork(control, work)


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

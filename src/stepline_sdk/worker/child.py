"""What happens inside the process of a task."""

from __future__ import annotations

import _thread
import os
import signal
import sys

from stepline_sdk import wire
from stepline_sdk.errors import CallError
from stepline_sdk.worker import failures, modules, processes
from stepline_sdk.worker.folders import TaskFolders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stepline_sdk.context import Context
    from stepline_sdk.wire import Frame

_STARTED = wire.encode({"type": "started"})


class Channel:
    """The task's line to the platform, for its Context."""

    def __init__(self, connection: wire.Connection) -> None:
        self._connection = connection
        self._one_at_a_time = _thread.allocate_lock()
        self._pid = 0
        self._number = 0

    def open(self) -> None:
        """Make this the process that calls may come from."""
        self._pid = os.getpid()

    def call(self, method: str, params: dict[str, Any]) -> Any:
        """Have the platform do something, and return its answer.

        Raises:
            CallError: The platform refused; it says of which type the error is.
            RuntimeError: The call comes from a process other than the task's own.
        """
        if os.getpid() != self._pid:
            raise RuntimeError("the context works only in the process that the task started in")
        with self._one_at_a_time:
            self._number += 1
            number = self._number
            self._connection.send({"type": "call", "n": number, "method": method, "params": params})
            answer = self._connection.receive()
            while answer is not None and answer.get("n") != number:
                answer = self._connection.receive()
        if answer is None:
            raise CallError("ConnectionError", "the platform is gone")
        if "error" in answer:
            raise CallError(answer["error"]["type"], answer["error"]["message"])
        return answer.get("value")


class Call:
    """A task's call of its function, made ready.

    A worker does this before it forks the task's process, because that is quicker: what
    is written after a fork has to be copied. Nothing of the task script runs before
    `perform`.

    Args:
        task: The ``task`` frame.
        connection: Line to the worker.
        folders: The task's folders; the calling process enters them.
    """

    def __init__(self, task: Frame, connection: wire.Connection, *, folders: TaskFolders) -> None:
        self._task = task
        self._connection = connection
        self._channel = Channel(connection)
        self._input: Any = None
        self._context: Context | None = None
        folders.enter()
        try:
            _forget_earlier_state()
            if "text" in task["data"]:
                self._unpack()
        except Exception:
            self._context = None  # tried again, and reported, in the task's own process

    @classmethod
    def receive(cls, connection: wire.Connection) -> Call | None:
        """Return the call that the worker asks for; None when it has gone away."""
        frame = connection.receive()
        if frame is None:
            return None
        return cls(frame["task"], connection, folders=TaskFolders.existing(frame["folders"]))

    def perform(self) -> int | None:
        """Call the function in the task's own process, and send its result.

        Returns:
            None after a result was sent; otherwise the exit code that the task asked
            for, with which the process must end.
        """
        self._channel.open()
        try:
            result = self._result()
        except SystemExit as exit_request:
            return _exit_code(exit_request)
        finally:
            flush()
        self._connection.send(dict(result, type="result"))
        return None

    def _result(self) -> Frame:
        try:
            function = modules.load(self._task["target"])
        except SystemExit:
            raise
        except BaseException as error:
            return failures.failure("import-failed", error)
        try:
            if self._context is None:
                self._unpack()
            self._connection.send_encoded(_STARTED)
            output = function(self._input or {}, self._context)
        except SystemExit:
            raise
        except BaseException as error:
            return failures.failure("raised", error)
        return _returned({} if output is None else output, self._task["scratch"])

    def _unpack(self) -> None:
        from stepline_sdk.context import Context

        data = wire.unspill(self._task["data"], self._task["scratch"])
        self._input = data["input"]
        self._context = Context(
            data["context"],
            channel=self._channel,
            scratch_dir=self._task["scratch"],
            tmp_dir=os.environ["TMPDIR"],
            function=self._task["function"],
        )


def serve(connection: wire.Connection) -> None:
    """Run the one task that arrives on the connection, in an interpreter of its own."""
    modules.extend_import_path()
    line_buffer()
    sys.dont_write_bytecode = True
    call = Call.receive(connection)
    if call is not None:
        os._exit(call.perform() or 0)


def import_ahead() -> None:
    """Import what every task needs, for processes that are forked from this one."""
    import stepline_sdk.context  # noqa: F401


def line_buffer() -> None:
    """Have prints go out line by line, in order with what other processes print."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # 3.7's own streams


def reset_signals() -> None:
    """Undo what the worker set for itself."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def flush() -> None:
    """Send on what prints have left in buffers, those of C code included."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # the task may have put anything in its place
            pass
    processes.flush_stdio()


def _returned(value: object, scratch: str) -> Frame:
    try:
        output = wire.spill(value, scratch, "output.json")
    except (MemoryError, OSError) as error:
        return failures.failure("raised", error)
    except Exception as error:  # also from the value's own code
        return failures.not_json(value, error)
    return {"kind": "returned", "output": output}


def _exit_code(exit_request: SystemExit) -> int:
    code = exit_request.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _forget_earlier_state() -> None:
    """Have the next task begin as if it were the first with the modules that are loaded."""
    loaded: Any = sys.modules
    for name in ("random", "numpy.random"):
        if name in loaded:
            loaded[name].seed()
    if "tempfile" in loaded:
        loaded["tempfile"].tempdir = None

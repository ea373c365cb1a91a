"""What happens inside the process of a task."""

from __future__ import annotations

import _thread
import os
import signal
import sys

from stepline_sdk import wire
from stepline_sdk.errors import CallError
from stepline_sdk.worker import failures, modules, processes

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
        self._pid = os.getpid()
        self._number = 0

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


def perform(connection: wire.Connection) -> int | None:
    """Wait for a task, run it in this process, and send its result.

    The environment is the task's already.

    Returns:
        None after a result was sent, or where no task came; otherwise the exit code that
        the task asked for, with which the process must end.
    """
    frame = connection.receive()
    if frame is None:
        return None
    os.chdir(frame["folder"])
    _forget_earlier_state()
    try:
        result = _result(frame["task"], connection)
    except SystemExit as exit_request:
        return _exit_code(exit_request)
    finally:
        flush()
    connection.send(dict(result, type="result"))
    return None


def serve(connection: wire.Connection) -> None:
    """Run the one task that arrives on the connection, in an interpreter of its own."""
    modules.extend_import_path()
    line_buffer()
    import_ahead()
    sys.dont_write_bytecode = True
    os._exit(perform(connection) or 0)


def rehearse(times: int) -> None:
    """Run a task that does nothing.

    What a process writes for the first time after a fork has to be copied, which takes
    most of the time of a short task; so this is done before the task is there.
    """
    for _ in range(times):
        perform(wire.Connection(_Nowhere()))  # type: ignore[arg-type]  # all it needs of a socket


def nothing(input: object, context: Context) -> None:
    """Do nothing, as a function of a task script might."""


class _Nowhere:
    """A socket whose other end asks for nothing to be done."""

    _DATA = wire.encode(
        {
            "type": "run",
            "task": {
                "target": __name__ + ".nothing",
                "function": {},
                "data": {"text": '{"input":{},"context":{"pipelineConfig":{}}}'},
                "scratch": "",
            },
            "folder": ".",
        }
    )

    def recv(self, _: int) -> bytes:
        """Return the frame that asks for it."""
        return self._DATA

    def sendall(self, data: bytes) -> None:
        """Send nothing."""


def import_ahead() -> None:
    """Import what every task needs, for processes that are forked from this one."""
    import stepline_sdk.context  # noqa: F401


def line_buffer() -> None:
    """Have prints go out line by line, in order with what other processes print."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # 3.7's own streams


def reset_signals() -> None:
    """Undo what the worker set for itself, or an imported module."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def flush() -> None:
    """Send on what prints have left in buffers, those of C code included."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # the task may have put anything in its place
            pass
    processes.flush_stdio()


def _result(task: Frame, connection: wire.Connection) -> Frame:
    try:
        function = modules.load(task["target"])
    except SystemExit:
        raise
    except BaseException as error:
        return failures.failure("import-failed", error)
    if task.get("import_only"):
        return _returned({}, task["scratch"])
    try:
        data = wire.unspill(task["data"], task["scratch"])
        context = _context(task, data["context"], connection)
        connection.send_encoded(_STARTED)
        output = function(data["input"] or {}, context)
    except SystemExit:
        raise
    except BaseException as error:
        return failures.failure("raised", error)
    return _returned({} if output is None else output, task["scratch"])


def _context(task: Frame, values: dict[str, Any], connection: wire.Connection) -> Context:
    from stepline_sdk.context import Context

    return Context(
        values,
        channel=Channel(connection),
        scratch_dir=task["scratch"],
        tmp_dir=os.environ["TMPDIR"],
        function=task["function"],
    )


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
    """Have a task begin as if nothing had happened with the modules that are loaded."""
    for fd in (1, 2):
        os.set_blocking(fd, True)  # a task before may have changed what all of them share
    loaded: Any = sys.modules
    for name in ("random", "numpy.random"):
        if name in loaded:
            loaded[name].seed()
    if "tempfile" in loaded:
        loaded["tempfile"].tempdir = None

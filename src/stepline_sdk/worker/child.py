"""What happens inside the process of a task."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time

from stepline_sdk import wire
from stepline_sdk.errors import CallError, FatalError
from stepline_sdk.worker import modules

EXIT_FATAL = 126


class Channel:
    """The task's line to the platform, for its Context."""

    def __init__(self, connection: wire.Connection, task: dict) -> None:
        self._connection = connection
        self._token = task["token"]
        self._one_at_a_time = threading.Lock()
        self._pid = os.getpid()
        self._number = 0

    def call(self, method: str, params: dict) -> object:
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
            frame = {"type": "call", "token": self._token, "n": number}
            self._connection.send(dict(frame, method=method, params=params))
            answer = self._connection.receive()
            while answer is not None and answer.get("n") != number:
                answer = self._connection.receive()
        if answer is None:
            raise CallError("ConnectionError", "the platform is gone")
        if "error" in answer:
            raise CallError(answer["error"]["type"], answer["error"]["message"])
        return answer.get("value")


def run(task: dict, connection: wire.Connection, folders: object) -> int | None:
    """Run one task in this process, and send its result.

    Returns:
        None after a result was sent; otherwise the exit code that the task asked
        for, with which the process must end.
    """
    folders.enter()
    _forget_parent_state()
    try:
        result = _call_function(task, connection)
    except FatalError:
        flush()
        return EXIT_FATAL
    except SystemExit as exit_request:
        flush()
        return _exit_code(exit_request)
    flush()
    connection.send(dict(result, type="result"))
    return None


def serve(connection: wire.Connection) -> None:
    """Run the tasks that arrive on the connection, each as in a process of its own.

    Used by a new interpreter per task, and by a warm one that is used again.
    """
    from stepline_sdk.worker.folders import TaskFolders

    modules.extend_import_path()
    line_buffer()
    while True:
        frame = connection.receive()
        if frame is None:
            return
        folders = TaskFolders.existing(frame["folders"])
        code = run(frame["task"], connection, folders)
        if code is not None or frame["last"]:
            flush()
            os._exit(code or 0)


def line_buffer() -> None:
    """Have prints go out line by line, in order with what other processes print."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)


def reset_signals() -> None:
    """Undo what the worker set for itself."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _call_function(task: dict, connection: wire.Connection) -> dict:
    try:
        function = modules.load(task["target"])
    except SystemExit:
        raise
    except BaseException as error:
        return _failure("import-failed", error)
    context = _context(task, connection)
    value = wire.unspill(task["input"], task["scratch"])
    connection.send({"type": "started", "at": time.time()})
    try:
        output = function(value or {}, context)
    except (SystemExit, FatalError):
        raise
    except MemoryError as error:
        return _failure("out-of-memory", error)
    except BaseException as error:
        return _failure("raised", error)
    return _returned({} if output is None else output, task)


def _context(task: dict, connection: wire.Connection) -> object:
    from stepline_sdk.context import Context

    return Context(
        task["context"],
        channel=Channel(connection, task),
        scratch_dir=task["scratch"],
        tmp_dir=os.environ["TMPDIR"],
        function=task["function"],
    )


def _returned(value: object, task: dict) -> dict:
    try:
        spilled = wire.spill(value, task["scratch"], "output.json")
    except (TypeError, ValueError, RecursionError) as error:
        where = _not_json(value, "output", 0) or "output: %s" % error
        message = "the function returned what is not JSON: %s" % where
        return {"kind": "raised", "message": message, "traceback": ""}
    return {"kind": "returned", "output": spilled}


def _not_json(value: object, path: str, depth: int) -> str | None:
    """Name the first part of a value that strict JSON cannot hold."""
    if depth > 50:
        return None
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, (str, int, float, bool, type(None))):
                return "%s has a key of type %s" % (path, type(key).__name__)
            found = _not_json(item, "%s[%r]" % (path, key), depth + 1)
            if found:
                return found
        return None
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            found = _not_json(item, "%s[%d]" % (path, index), depth + 1)
            if found:
                return found
        return None
    try:
        json.dumps(value, allow_nan=False)
    except TypeError:
        return "%s is of type %s" % (path, type(value).__name__)
    except ValueError:
        return "%s is %r" % (path, value)
    return None


def _failure(kind: str, error: BaseException) -> dict:
    message = modules.shorten_paths(str(error)) or type(error).__name__
    return {"kind": kind, "message": message, "traceback": _user_traceback(error)}


def _user_traceback(error: BaseException) -> str:
    """Return the traceback from the first line of the task script on."""
    import traceback

    if isinstance(error, modules.ScriptImportError):
        return ""
    sdk = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    tb = error.__traceback__
    while tb is not None and _is_machinery(tb.tb_frame.f_code.co_filename, sdk):
        tb = tb.tb_next
    text = "".join(traceback.format_exception(type(error), error, tb))
    return modules.shorten_paths(text)


def _is_machinery(filename: str, sdk: str) -> bool:
    return (
        filename.startswith(sdk)
        or filename.startswith("<frozen importlib")
        or os.sep + "importlib" + os.sep in filename
    )


def _exit_code(exit_request: SystemExit) -> int:
    if exit_request.code is None:
        return 0
    if isinstance(exit_request.code, int):
        return exit_request.code & 0xFF
    print(exit_request.code, file=sys.stderr)
    return 1


def _forget_parent_state() -> None:
    """Make this process independent of what the worker loaded before it forked."""
    loaded = sys.modules
    if "random" in loaded:
        loaded["random"].seed()
    if "numpy.random" in loaded:
        loaded["numpy.random"].seed()
    if "tempfile" in loaded:
        loaded["tempfile"].tempdir = None


def flush() -> None:
    """Send on what prints have left in buffers."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass

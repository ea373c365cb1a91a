"""How a task ended, told from what is known at its end."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stepline_sdk.wire import Frame

EXIT_FATAL = 126


def timed_out(limits: dict[str, Any]) -> Frame:
    """Return the outcome of a task that ran for too long."""
    return failed("timed-out", "the task ran longer than %g s" % limits["timeout_s"])


def cancelled() -> Frame:
    """Return the outcome of a task that somebody asked to end."""
    return failed("cancelled", "the task was cancelled")


def out_of_memory(
    limits: dict[str, Any], result: Frame | None = None, *, files_count: bool = False
) -> Frame:
    """Return the outcome of a task that needed more memory than it may have.

    Args:
        limits: Those of the task.
        result: What it sent.
        files_count: Whether its files in memory count.
    """
    allowed = limits.get("memory_mb")
    known = "there is" if allowed is None else "its %d MiB" % allowed
    if files_count:
        known += ", in which its files in /tmp and /dev/shm count"
    traceback = (result or {}).get("traceback", "")
    return failed("out-of-memory", "the task needs more memory than %s" % known, traceback)


def by_result(frame: Frame) -> Frame:
    """Return the outcome of a task that sent its result.

    Raises:
        ValueError, KeyError: No function of ours sent this.
    """
    kind = frame["kind"]
    if kind == "returned":
        return {"kind": kind, "output": dict(frame["output"])}
    if kind not in ("raised", "import-failed", "out-of-memory"):
        raise ValueError("a result of kind %r" % (kind,))
    return failed(kind, str(frame["message"]), str(frame["traceback"]))


def by_status(status: int) -> Frame:
    """Return the outcome of a task whose process ended without a result."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        message = "the task was ended by signal %d (%s)" % (number, _signal_name(number))
        return dict(failed("killed", message), signal=number)
    code = os.WEXITSTATUS(status)
    if code == 0:
        return dict(failed("exited", "No content returned by worker"), exit_code=0)
    kind = "fatal" if code == EXIT_FATAL else "exited"
    return dict(failed(kind, "Invalid exit code %d" % code), exit_code=code)


def failed(kind: str, message: str, traceback: str = "") -> Frame:
    """Return an outcome without a value."""
    return {"kind": kind, "message": message, "traceback": traceback}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unnamed"

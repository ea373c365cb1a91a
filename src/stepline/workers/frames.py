"""Requests and outcomes as frames of the wire format."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from stepline.model.task import OutcomeKind, TaskOutcome, TaskRequest
from stepline.model.task_script import Function
from stepline_sdk import wire


def task_frame(
    request: TaskRequest, function: Function, *, scratch: str, inside: str
) -> dict[str, Any]:
    """Return the frame that starts an attempt; a large input is written to ``scratch``.

    Args:
        request: The attempt.
        function: What to call.
        scratch: The shared folder, as the platform sees it.
        inside: The same folder as the worker sees it.
    """
    data = {"input": request.input, "context": dict(request.context)}
    return {
        "type": "task",
        "token": os.urandom(16).hex(),  # what tells an attempt from all others
        "target": function.function,
        "function": _function_entry(function),
        "data": wire.spill(data, scratch, "input.json"),
        "limits": {
            "memory_mb": request.limits.memory_mb,
            "timeout_s": request.limits.timeout_s,
            "log_bytes": request.limits.log_bytes,
        },
        "scratch": inside,
        "import_only": request.import_only,
    }


def check(frame: dict[str, Any]) -> None:
    """Let a frame pass that a worker may send; a task may have become its worker.

    Raises:
        WireError: It is none.
    """
    rule = _RULES.get(frame["type"])
    if rule is None:
        raise wire.WireError(f"a frame of the type {frame['type'][:40]!r}")
    try:
        fine = rule(frame)
    except (KeyError, TypeError, ValueError):
        fine = False
    if not fine:
        raise wire.WireError(f"a frame '{frame['type']}' with something else in it")


def outcome(frame: dict[str, Any], *, scratch: str) -> TaskOutcome:
    """Return the outcome that a frame tells; a large value is read from ``scratch``.

    Args:
        frame: The frame, checked.
        scratch: The shared folder, as the platform sees it.
    """
    told = TaskOutcome(
        kind=OutcomeKind(frame["kind"]),
        message=frame.get("message", ""),
        traceback=frame.get("traceback", ""),
        exit_code=frame.get("exit_code"),
        signal=frame.get("signal"),
        duration_s=frame.get("duration_s", 0.0),
        peak_memory_bytes=frame.get("peak_memory_bytes"),
    )
    return told if "output" not in frame else _with_value(told, frame["output"], scratch)


def _with_value(told: TaskOutcome, output: dict[str, Any], scratch: str) -> TaskOutcome:
    from dataclasses import replace

    try:
        return replace(told, value=wire.unspill(output, scratch))
    except RecursionError:
        reason = "it is nested too deeply"
    except MemoryError:
        reason = "there is too little memory for it"
    except (OSError, ValueError) as error:
        reason = str(error)
    message = f"the value that the function returned cannot be read: {reason}"
    return replace(told, kind=OutcomeKind.RAISED, message=message)


def _function_entry(function: Function) -> dict[str, Any]:
    entry: dict[str, Any] = {"slug": function.slug, "function": function.function}
    if function.allowed_ids is not None:
        entry["allowedIds"] = [
            {"namespace": ids.namespace, "slug": ids.slug, "version": ids.version}
            for ids in function.allowed_ids
        ]
    return entry


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value < _LARGEST  # type: ignore[operator]  # as seen


def _is_line(line: list[Any]) -> bool:
    at, stream, text, ended = line
    return _is_number(at) and stream in ("out", "err") and type(text) is str and type(ended) is bool


def _is_ready(frame: dict[str, Any]) -> bool:
    return frame["cgroup"] is None or type(frame["cgroup"]) is str


def _is_call(frame: dict[str, Any]) -> bool:
    return (type(frame["n"]), type(frame["method"]), type(frame["params"])) == (int, str, dict)


def _is_outcome(frame: dict[str, Any]) -> bool:
    kind = frame["kind"]
    returned = kind == OutcomeKind.RETURNED.value
    return (
        kind in _TOLD
        and type(frame.get("output", {})) is dict
        and ("output" in frame) is returned
        and all(type(frame.get(name, "")) is str for name in ("message", "traceback"))
        and all(frame.get(name) is None or _is_number(frame[name]) for name in _NUMBERS)
        and _is_number(frame.get("duration_s", 0))
        and type(frame.get("spent", False)) is bool
    )


_LARGEST = 2**53
_NUMBERS = ("exit_code", "signal", "peak_memory_bytes")
# Of a lost one, no worker can tell.
_TOLD = {kind.value for kind in OutcomeKind} - {OutcomeKind.LOST.value}
_RULES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "ready": _is_ready,
    "started": lambda frame: _is_number(frame["at"]),
    "log": lambda frame: type(frame["lines"]) is list and all(map(_is_line, frame["lines"])),
    "call": _is_call,
    "outcome": _is_outcome,
}

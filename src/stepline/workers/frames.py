"""Requests and outcomes as frames of the wire format."""

from __future__ import annotations

import os
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


def outcome(frame: dict[str, Any], *, scratch: str) -> TaskOutcome:
    """Return the outcome that a frame tells; a large value is read from ``scratch``."""
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

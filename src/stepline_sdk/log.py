"""The structured logger: one line of JSON on standard output per record."""

from __future__ import annotations

import json
import os
import sys
import time

import stepline_sdk
from stepline_sdk.plain import jsonable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from stepline_sdk.log_codes import LogCode


class Log:
    """Writes records to standard output, in order with what the script prints.

    Args:
        values: The task's context values; ids of task, workflow and trace go into every
            record.
    """

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values = dict(values or {})

    def log(self, *args: Any, sep: str = " ") -> None:
        """Write one record.

        Args:
            args: A dict of the record's own fields, an exception, or anything else, which
                becomes the message; several are joined.
            sep: What stands between several.
        """
        record = self._common_fields()
        record.update(_fields_of(args, sep))
        record.setdefault("level", "info")
        _write_line(record)

    def debug(
        self, message: str, code: LogCode | None = None, *, extra: Mapping[str, Any] | None = None
    ) -> None:
        """Write a record of level ``debug``."""
        self._leveled("debug", message, code, extra)

    def info(
        self, message: str, code: LogCode | None = None, *, extra: Mapping[str, Any] | None = None
    ) -> None:
        """Write a record of level ``info``."""
        self._leveled("info", message, code, extra)

    def warning(
        self, message: str, code: LogCode, *, extra: Mapping[str, Any] | None = None
    ) -> None:
        """Write a record of level ``warning``."""
        self._leveled("warning", message, code, extra)

    def warn(self, message: str, code: LogCode, *, extra: Mapping[str, Any] | None = None) -> None:
        """Write a record of level ``warning``."""
        self._leveled("warning", message, code, extra)

    def error(self, message: str, code: LogCode, *, extra: Mapping[str, Any] | None = None) -> None:
        """Write a record of level ``error``."""
        self._leveled("error", message, code, extra)

    def _leveled(self, level: str, message: Any, code: Any, extra: Any) -> None:
        from stepline_sdk.log_codes import LogCodes

        record = {"level": level, "message": str(message), "extra": _extra(extra)}
        problems = _problems(level, message, code)
        usable = LogCodes.generic if problems.get("code") else code
        if usable is not None:
            record.update(code=usable.code, codeMessage=usable.code_message)
        self.log(record)
        if problems:
            self.log(_complaint(problems, {"message": message, "code": code}))

    def _common_fields(self) -> dict[str, Any]:
        fields = {"timestamp": _local_time(), "tsSdkVersion": stepline_sdk.__version__}
        found = {
            "containerId": os.environ.get("CONTAINER_ID"),
            "traceId": _trace_id(self._values.get("inputFile")),
            "taskId": self._values.get("taskId"),
            "workflowId": self._values.get("workflowId"),
        }
        fields.update((key, value) for key, value in found.items() if value is not None)
        return fields


def _trace_id(input_file: Any) -> Any:
    meta = input_file.get("meta") if isinstance(input_file, dict) else None
    return meta.get("traceId") if isinstance(meta, dict) else None


def _local_time() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now)) + (".%06d" % (now % 1 * 1e6))


def _fields_of(args: tuple[Any, ...], sep: str) -> dict[Any, Any]:
    if len(args) != 1:
        return {"message": sep.join(str(arg) for arg in args)}
    if isinstance(args[0], dict):
        return args[0]
    if isinstance(args[0], BaseException):
        return _error_fields(args[0])
    return {"message": str(args[0])}


def _error_fields(error: BaseException) -> dict[str, Any]:
    import traceback

    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return {
        "level": "error",
        "errorType": str(type(error)),
        "exception": "".join(lines),
        "message": str(getattr(error, "message", error)),
    }


def _extra(extra: Any) -> dict[Any, Any]:
    if extra is None:
        return {}
    return extra if isinstance(extra, dict) else {"data": extra}


def _problems(level: str, message: Any, code: Any) -> dict[str, str]:
    from stepline_sdk.log_codes import problems_of

    problems = {}
    if not isinstance(message, str):
        problems["message"] = "expected a message of type str, got %s" % type(message).__name__
    if code is not None and problems_of(code):
        problems["code"] = ", ".join(problems_of(code))
    elif code is None and level in ("warning", "error"):
        problems["code"] = "missing code"
    return problems


def _complaint(problems: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
    import traceback

    from stepline_sdk.log_codes import LogCodes

    # The last three frames are the logger's own.
    stack = "".join(traceback.format_stack()[:-3])
    code = LogCodes.invalid_raw_input_data
    return {
        "level": "error",
        "message": "wrong use of the logger: " + "; ".join(problems.values()),
        "code": code.code,
        "codeMessage": code.code_message,
        "original": {name: given[name] for name in problems},
        "exception": {"type": "InvalidLogInput", "stack": stack},
    }


def _write_line(record: dict[Any, Any]) -> None:
    """Write a record; one that JSON cannot hold goes out with the odd parts as text."""
    try:
        line = json.dumps(record, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        line = _forgiving(record)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _forgiving(record: dict[Any, Any]) -> str:
    try:
        return json.dumps(jsonable(record))
    except RecursionError:
        kept = {str(key): str(value)[:1000] for key, value in record.items()}
        return json.dumps(kept)

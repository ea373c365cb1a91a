"""What a task's failure is called: messages, and tracebacks that start in the user's code."""

from __future__ import annotations

import json
import os

from stepline_sdk.worker import modules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stepline_sdk.wire import Frame

LONGEST_MESSAGE = 64 * 1024
LONGEST_TRACEBACK = 256 * 1024

_SDK = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def failure(kind: str, error: BaseException) -> Frame:
    """Return the result of a task that ended by an exception."""
    if isinstance(error, MemoryError):
        kind = "out-of-memory"
    return {
        "kind": kind,
        "message": _shorten(_message(error), LONGEST_MESSAGE),
        "traceback": _shorten(_user_traceback(error), LONGEST_TRACEBACK),
    }


def not_json(value: object, error: BaseException) -> Frame:
    """Return the result of a task whose function returned what is not JSON."""
    try:
        where = _first_odd(value, "output", {}) or "output: %s" % error
    except Exception:  # the value's own code, or too deep a nesting
        where = "output: %s" % error
    message = "the function returned what is not JSON: %s" % where
    message = _shorten(message, LONGEST_MESSAGE)
    return {"kind": "raised", "message": message, "traceback": ""}


def _first_odd(value: object, path: str, seen: dict[int, object]) -> str | None:
    """Name the first part of a value that strict JSON cannot hold."""
    if id(value) in seen:
        return None
    if isinstance(value, dict):
        seen[id(value)] = value
        for key, item in value.items():
            if not isinstance(key, (str, int, float, type(None))):
                return "%s has a key of type %s" % (path, type(key).__name__)
            found = _first_odd(item, "%s[%r]" % (path, key), seen)
            if found:
                return found
        return None
    if isinstance(value, (list, tuple)):
        seen[id(value)] = value
        parts = (_first_odd(item, "%s[%d]" % (path, n), seen) for n, item in enumerate(value))
        return next(filter(None, parts), None)
    return _odd_leaf(value, path)


def _odd_leaf(value: object, path: str) -> str | None:
    try:
        json.dumps(value, allow_nan=False)
    except TypeError:
        return "%s is of type %s" % (path, type(value).__name__)
    except ValueError:
        return "%s is %r" % (path, value)
    return None


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # the exception's own code
        text = ""
    return modules.shorten_paths(text) or type(error).__name__


def _user_traceback(error: BaseException) -> str:
    """Return the traceback from the first line of the task script on."""
    import traceback

    if isinstance(error, modules.ScriptImportError):
        return ""
    tb = error.__traceback__
    while tb is not None and _is_machinery(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    try:
        lines = traceback.format_exception(type(error), error, tb)
    except Exception:  # the exception's own code
        lines = traceback.format_tb(tb)
    return modules.shorten_paths("".join(lines))


def _is_machinery(filename: str) -> bool:
    return filename.startswith((_SDK, "<frozen importlib")) or filename.endswith(
        os.path.join("importlib", "__init__.py")
    )


def _shorten(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    half = longest // 2
    left_out = "\n[... %d characters left out ...]\n" % (len(text) - 2 * half)
    return text[:half] + left_out + text[-half:]

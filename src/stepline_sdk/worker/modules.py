"""Loading of a task script's functions."""

from __future__ import annotations

import importlib
import os
import sys


class ScriptImportError(Exception):
    """A function's module cannot be imported, or has no such attribute."""


def extend_import_path() -> None:
    """Append the script's folder, and the names that published scripts import.

    Both come last: the environment's own packages win, a real ``ts_sdk`` among them.
    """
    compat = os.path.join(os.path.dirname(os.path.dirname(__file__)), "compat")
    for entry in ("./func", compat):
        if entry not in sys.path:
            sys.path.append(entry)


def load(target: str) -> object:
    """Return the callable that ``module.name`` means; split at the last dot.

    Raises:
        ScriptImportError: There is no such callable in the module.
        BaseException: Whatever the import of the module raised.
    """
    module_name, _, attribute = target.rpartition(".")
    module = importlib.import_module(module_name)
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ScriptImportError(
            "module '%s' (%s) has no function '%s'"
            % (module_name, getattr(module, "__file__", "?"), attribute)
        )
    return function


def shorten_paths(text: str) -> str:
    """Name the script's files as ``func/...`` in a message or traceback.

    They are known by the folder in which the import path was extended, which tells the
    author nothing.
    """
    import re

    return re.sub(r"""[^\s"'(]*/work-[0-9]+/(\./)?func/|(?<=")\./func/""", "func/", text)

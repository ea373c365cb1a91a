"""Loading of a task script's functions."""

from __future__ import annotations

import importlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

_CODE = "./func"
_root = ""


class ScriptImportError(Exception):
    """A function's module cannot be imported, or has no such attribute."""


def extend_import_path() -> None:
    """Append the script's folder, and the names that published scripts import.

    Both come last: the environment's own packages win, a real ``ts_sdk`` among them. The
    script's folder is the link in the worker's own work folder, the current one here,
    which is there for as long as the worker.
    """
    global _root
    _root = os.path.dirname(os.getcwd())
    compat = os.path.join(os.path.dirname(os.path.dirname(__file__)), "compat")
    for entry in (_CODE, compat):
        if entry not in sys.path:
            sys.path.append(entry)
    # Python finds out where a relative entry leads when it first looks there.
    for hook in sys.path_hooks:
        try:
            sys.path_importer_cache[_CODE] = hook(_CODE)
        except ImportError:
            continue
        break


def load(target: str) -> Callable[..., Any]:
    """Return the callable that ``module.name`` means; split at the last dot.

    Raises:
        ScriptImportError: There is no such callable in the module.
        BaseException: Whatever the import of the module raised.
    """
    module_name, _, attribute = target.rpartition(".")
    module = sys.modules.get(module_name) or importlib.import_module(module_name)
    function = getattr(module, attribute, None)
    if not callable(function):
        file = shorten_paths('"%s"' % getattr(module, "__file__", "?")).strip('"')
        raise ScriptImportError(
            "module '%s' (%s) has no function '%s'" % (module_name, file, attribute)
        )
    return function  # type: ignore[no-any-return]  # getattr knows no types


def shorten_paths(text: str) -> str:
    """Name the script's files as ``func/...`` in a message or traceback.

    They are known by the worker's folder, which tells the author nothing.
    """
    import re

    if _root:
        text = re.sub(re.escape(_root) + r"/work-[0-9]+/(?:\./)?func/", "func/", text)
    return text.replace('"./func/', '"func/')

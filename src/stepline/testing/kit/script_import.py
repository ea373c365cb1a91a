"""Importing a task script's modules into the process of a test, and forgetting them again."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from stepline_sdk.worker import modules

_COMPAT = os.path.join(os.path.dirname(os.path.dirname(modules.__file__)), "compat")


# What each script that is importable now has put on the import path: all of it, and that
# part of it which stood before the standard library; and the modules that stepped aside.
_active: list[tuple[list[str], list[str], dict[str, ModuleType]]] = []


@contextmanager
def importable(script: Path) -> Iterator[None]:
    """Let ``import`` find a task script's modules, as it does in a task.

    Installed packages win over the script's modules, and these over what the test has
    put on the import path. Modules of that kind with one of the script's names step
    aside. Those of the script that were imported before are used as they are, so that a
    test may patch them; the others are forgotten at the end.

    Args:
        script: Folder of the task script.
    """
    folder = os.path.realpath(script)
    path, bytecode = list(sys.path), sys.dont_write_bytecode
    before = set(sys.modules)
    front, installed = _parts(path)
    aside = _strangers(folder, installed)
    for name in aside:
        del sys.modules[name]
    for _, _, others in _active:
        held = {name: module for name, module in others.items() if _is_below(module, folder)}
        sys.modules.update(held)
    own = [folder, _COMPAT, *front]
    sys.path[:] = [*installed, *own]
    _active.append((own, front, aside))
    # No __pycache__ in the author's folder; tasks leave none there either.
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for name in [n for n, module in sys.modules.items() if _is_below(module, folder)]:
            if name not in before:
                del sys.modules[name]
        sys.modules.update(aside)
        _active.pop()
        sys.path[:] = path
        sys.dont_write_bytecode = bytecode


def _parts(path: list[str]) -> tuple[list[str], list[str]]:
    """Split the import path into what a test has put on it, and what is installed."""
    ours = {entry for own, _, _ in _active for entry in own}
    path = [entry for entry in path if entry not in ours]
    moved = _active[-1][1] if _active else []
    library = os.path.dirname(os.__file__)
    try:
        border = path.index(library)
    except ValueError:
        return moved, path
    while border and path[border - 1].endswith(".zip"):
        border -= 1
    return [*path[:border], *moved], path[border:]


def _strangers(folder: str, installed: list[str]) -> dict[str, ModuleType]:
    """Return loaded modules that have a name of the script's and are not installed."""
    own = {os.path.splitext(entry)[0] for entry in os.listdir(folder)}
    return {
        name: module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in own
        and _file(module)
        and not _is_below(module, folder)
        and not any(_is_below(module, entry) for entry in installed)
    }


def _is_below(module: ModuleType, folder: str) -> bool:
    file = _file(module)
    return bool(file) and os.path.realpath(file).startswith(folder + os.sep)


def _file(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    if file is None:
        file = next(iter(getattr(module, "__path__", ())), None)
        return os.path.join(file, "") if isinstance(file, str) else ""
    return file if isinstance(file, str) else ""

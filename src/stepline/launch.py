"""The command's entry point: starts what the command will need, then the command line."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

_RUNNING = ("run", "call")
_EXIT_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line and exit with its code.

    The process ends without the interpreter's own clean-up, which takes longer than many
    a command and has nothing left to do.
    """
    _prepare_streams()
    try:
        code = _run(sys.argv[1:])
    except KeyboardInterrupt:
        code = _EXIT_INTERRUPTED
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # the reader of a pipe may be gone
            stream.flush()
    os._exit(code)


def _prepare_streams() -> None:
    """Let output that cannot be written as it is neither end nor alter a run."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started us
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (open to the end)
        else:
            stream.reconfigure(errors="backslashreplace")


def _run(words: list[str]) -> int:
    early = _begin(words) if words and words[0] in _RUNNING else None
    try:
        from stepline.cli import main as run_command_line

        return run_command_line()
    finally:
        if early is not None:
            early.end()


def _begin(words: list[str]) -> Any:
    """Start what the same words needed last time; return the module that did."""
    from importlib import import_module

    from stepline.ports.head_start import read_hint
    from stepline.settings import cache_dir

    hint = read_hint(words, cache_dir=cache_dir(os.environ))
    if hint is None:
        return None
    try:
        module = import_module(hint["module"])
    except ImportError:  # left by a plugin that is no longer installed
        return None
    module.begin(hint["what"])
    return module

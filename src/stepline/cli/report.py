"""How errors are shown to the person who typed the command, without any secret's value.

A task script's hook, a resolver or a plugin may have put a value in an error's text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from stepline.errors import Problem, SteplineError, UserError


def report_error(error: Exception) -> int:
    """Print an error with its place and hint, and return the exit code.

    What is not one of Stepline's own errors is a fault of Stepline, and is shown whole.
    """
    if not isinstance(error, SteplineError):
        return _report_fault(error)
    problems = error.problems if isinstance(error, UserError) else ()
    print_problems(problems, err=True)
    if not problems:
        where = f"{error.where}: " if error.where else ""
        _print(f"{where}error: {error.what}", error.hint)
    return error.exit_code


def print_problems(problems: Sequence[Problem], *, err: bool = False) -> None:
    """Print problems with the source lines at fault.

    Args:
        problems: The problems.
        err: Print to standard error.
    """
    if not problems:
        return
    from stepline.parsing.render import render_problem

    sources: dict[str, str | None] = {}
    for problem in problems:
        path = problem.where.path
        if path not in sources:
            sources[path] = _source(Path(path))
        _echo(render_problem(problem, sources[path]), err=err)
        click.echo(err=err)


def _source(path: Path) -> str | None:
    """Return a file's text for showing the lines at fault, if it can be read."""
    from stepline.app.load import read_source

    data, problem = read_source(path)
    return None if problem else data.decode("utf-8", "replace").removeprefix("\ufeff")


def _report_fault(error: Exception) -> int:
    import traceback

    _echo("".join(traceback.format_exception(error)).rstrip("\n"))
    _print(
        f"error: Stepline itself failed: {type(error).__name__}: {error}",
        "this should not happen; please report it with the lines above",
    )
    return SteplineError.exit_code


def _print(line: str, hint: str) -> None:
    _echo(line)
    if hint:
        _echo(f"  hint: {hint}")


def _echo(text: str, *, err: bool = True) -> None:
    from stepline.app.masking import process_masker

    click.echo(process_masker().text(text), err=err)

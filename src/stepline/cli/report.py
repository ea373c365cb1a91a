"""How errors are shown to the person who typed the command."""

from __future__ import annotations

import click

from stepline.errors import SteplineError, UserError


def report_error(error: Exception) -> int:
    """Print an error with its place and hint, and return the exit code.

    What is not one of Stepline's own errors is a fault of Stepline, and is shown whole.
    """
    if not isinstance(error, SteplineError):
        return _report_fault(error)
    problems = error.problems if isinstance(error, UserError) else ()
    for problem in problems:
        line = f"{problem.where}: {problem.severity}: {problem.message} [{problem.code}]"
        _print(line, problem.hint)
    if not problems:
        where = f"{error.where}: " if error.where else ""
        _print(f"{where}error: {error.what}", error.hint)
    return error.exit_code


def _report_fault(error: Exception) -> int:
    import traceback

    click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    _print(
        f"error: Stepline itself failed: {type(error).__name__}: {error}",
        "this should not happen; please report it with the lines above",
    )
    return SteplineError.exit_code


def _print(line: str, hint: str) -> None:
    click.echo(line, err=True)
    if hint:
        click.echo(f"  hint: {hint}", err=True)

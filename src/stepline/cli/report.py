"""How errors are shown to the person who typed the command."""

from __future__ import annotations

import click

from stepline.errors import SteplineError, UserError


def report_error(error: SteplineError) -> int:
    """Print an error with its place and hint, and return the exit code."""
    problems = error.problems if isinstance(error, UserError) else ()
    if problems:
        for problem in problems:
            line = f"{problem.where}: {problem.severity}: {problem.message} [{problem.code}]"
            click.echo(line, err=True)
            if problem.hint:
                click.echo(f"  hint: {problem.hint}", err=True)
        return error.exit_code
    where = f"{error.where}: " if error.where else ""
    click.echo(f"{where}error: {error.what}", err=True)
    if error.hint:
        click.echo(f"  hint: {error.hint}", err=True)
    return error.exit_code

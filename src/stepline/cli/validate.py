"""``stepline validate``: every problem of every file at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from stepline.cli.report import print_problems

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stepline.app.validate import Report
    from stepline.errors import Problem

EXIT_VALID = 0
EXIT_INVALID = 2


@click.command("validate")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines.")
@click.option("--strict", is_flag=True, help="Let warnings count as errors.")
@click.pass_context
def command(ctx: click.Context, paths: Sequence[Path], *, as_json: bool, strict: bool) -> None:
    """Check protocols, task scripts, manifests and pipelines.

    PATHS are files, or folders that are searched; by default the current folder. A
    pipeline is checked if its file is named. Exits with 0 if all is valid, with 2 if not.
    """
    from stepline.app.validate import validate_paths
    from stepline.settings import cache_dir

    reports = validate_paths(list(paths) or [Path(".")], cache_dir(os.environ))
    problems = [problem for report in reports for problem in report.problems]
    valid = not any(strict or problem.severity == "error" for problem in problems)
    if as_json:
        _print_json(problems, valid=valid)
    else:
        _print_text(reports, problems)
    ctx.exit(EXIT_VALID if valid else EXIT_INVALID)


def _print_json(problems: Sequence[Problem], *, valid: bool) -> None:
    import json

    content = {"valid": valid, "problems": [problem.to_plain() for problem in problems]}
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def _print_text(reports: Sequence[Report], problems: Sequence[Problem]) -> None:
    print_problems(problems)
    click.echo(_summary(reports, problems))


def _summary(reports: Sequence[Report], problems: Sequence[Problem]) -> str:
    errors = sum(1 for problem in problems if problem.severity == "error")
    counts = [_count(errors, "error"), _count(len(problems) - errors, "warning")]
    found = ", ".join(text for text in counts if text) or "no problems"
    checked = sum(1 for report in reports if report.kind is not None)
    return f"{_count(checked, 'file') or 'no files'} checked: {found}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""

"""``stepline selftest``: the service tests itself, on this machine."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stepline.cli.interrupts import interruptible
from stepline.errors import SettingsError, SteplineError

if TYPE_CHECKING:
    from stepline.server.selftest.crash import CrashReport
    from stepline.settings import Settings

_SHOWN = 5
_FAILED = 1


@click.command("selftest")
@click.option("--crash", is_flag=True, help="Kill a service and count what it loses.")
@click.option(
    "--kills",
    type=click.IntRange(0, 1_000_000),
    default=20,
    show_default=True,
    help="Kills at random moments.",
)
@click.option("--every-point", is_flag=True, help="Also kill it before and after each commit.")
@click.option(
    "--executor",
    help="Executor of the service.  [default: that of the settings, or process]",
)
@click.option("--seed", type=int, help="Seed of chance, to do the same again.")
@click.option("--keep", is_flag=True, help="Keep the folder of the test, and name it.")
@click.option("--json", "json_output", is_flag=True, help="Print JSON.")
def command(
    crash: bool,
    kills: int,
    *,
    every_point: bool,
    executor: str | None,
    seed: int | None,
    keep: bool,
    json_output: bool,
) -> int:
    """Kill a service again and again while files pour in, and count what is lost or doubled.

    The service is the one of `stepline serve`, in a temporary folder of its own. The exit
    code is 0 only if nothing was lost, doubled or left behind.
    """
    if not crash:
        raise SettingsError("no test was named", hint="use: stepline selftest --crash")
    import tempfile

    from stepline import settings
    from stepline.server.selftest.crash import CrashOptions, crash_test

    options = CrashOptions(
        kills=kills,
        every_point=every_point,
        seed=secrets.randbelow(1 << 31) if seed is None else seed,
        settings=_settings(executor),
    )
    base = Path(tempfile.mkdtemp(prefix="stepline-selftest-"))
    try:
        with interruptible():
            report = crash_test(base, settings.cache_dir(os.environ), options=options, tell=_tell)
    except SteplineError:
        keep = True  # it may tell why
        raise
    finally:
        _leave(base, keep=keep)
    if json_output:
        click.echo(json.dumps(report.to_plain(), indent=2))
    else:
        _show(report)
    return _FAILED if report.findings.total else 0


def _settings(executor: str | None) -> Settings:
    """Return what the service is set to: as the environment says, but for its isolation."""
    from stepline import settings

    own = settings.read_settings("", path="", environ=os.environ)
    return settings.Settings(
        executor=executor or own.executor, images_dir=own.images_dir, bases=own.bases
    )


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _leave(base: Path, *, keep: bool) -> None:
    import shutil

    if keep:
        click.echo(f"kept: {base}", err=True)
    else:
        shutil.rmtree(base, ignore_errors=True)


def _show(report: CrashReport) -> None:
    kinds = len({point.kind for point in report.points})
    click.echo(f"{report.files} files sent, {report.kills} kills, {report.seconds:.0f} s")
    if report.options.every_point:
        click.echo(f"{kinds} commit points, each just before and just after")
    for name, number in report.findings.counts.items():
        click.echo(f"{number:8}  {name}")
    for name, lines in report.findings.lines():
        click.echo(f"\n{name}:")
        for line in lines[:_SHOWN]:
            click.echo(f"  {line}")
        if len(lines) > _SHOWN:
            click.echo(f"  ... and {len(lines) - _SHOWN} more")
    click.echo(f"\nseed {report.options.seed}")

"""``stepline init``: a project that runs and whose tests pass."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from stepline.app.new_project import ProjectNames, project_files, project_names, write_project
from stepline.parsing.task_script import RUNTIMES

NAMESPACE = "private-demo"


@click.command(name="init")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--name", help="Name that people see; by default made of the folder's name.")
@click.option(
    "--namespace",
    default=NAMESPACE,
    show_default=True,
    metavar="NAMESPACE",
    help="Owner scope of the task script.",
)
@click.option("--force", is_flag=True, help="Also into a folder with files, which are kept.")
def command(folder: Path, *, name: str | None, namespace: str, force: bool) -> None:
    """Make a project in DIR: a task script, a protocol, an input file and tests.

    It runs at once, and its tests pass. No file is ever overwritten.
    """
    own = f"python{sys.version_info.major}.{sys.version_info.minor}"
    runtime = own if own in RUNTIMES else RUNTIMES[-1]
    names = project_names(folder, name=name, namespace=namespace, runtime=runtime)
    texts = project_files(names)
    kept = write_project(folder, texts, force=force)
    for path in kept:
        click.echo(f"kept {path}, which was there")
    click.echo(f"{names.name}: {len(texts) - len(kept)} files in {os.path.join(folder, '')}\n")
    for line in _next_commands(folder, names):
        click.echo(line)


def _next_commands(folder: Path, names: ProjectNames) -> list[str]:
    enter = [] if folder.resolve() == Path.cwd() else [f"  cd {shlex.quote(str(folder))}"]
    return [
        "Now type:",
        *enter,
        "  stepline validate .",
        f"  stepline run protocols/{names.slug} --input data/visitor.json --out results/",
        "  pytest",
    ]

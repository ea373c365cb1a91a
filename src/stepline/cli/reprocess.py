"""``stepline reprocess``: a pipeline again, for just those files."""

from __future__ import annotations

import click

from stepline.cli.client import path_of
from stepline.cli.display import printable
from stepline.cli.session import Session, service_command
from stepline.cli.times import moment
from stepline.cli.words import path_shown
from stepline.errors import SettingsError


@click.command("reprocess")
@click.argument("pipeline")
@click.option("--failed", is_flag=True, help="Files whose newest workflow of it failed.")
@click.option("--unprocessed", is_flag=True, help="Files that it had no workflow for.")
@click.option("--completed", is_flag=True, help="Files whose newest workflow of it completed.")
@click.option(
    "--since",
    type=moment,
    metavar="TIME",
    required=True,
    help="Files stored since then: 7d, 12h, a date.",
)
@click.option("--until", type=moment, metavar="TIME", help="Files stored before then.")
@click.option("--dry-run", is_flag=True, help="Start nothing; print the files.")
@service_command
def command(
    session: Session,
    *,
    pipeline: str,
    failed: bool,
    unprocessed: bool,
    completed: bool,
    since: str,
    until: str | None,
    dry_run: bool,
) -> None:
    """Start PIPELINE again for stored files that its condition matches.

    A file that a workflow of it is on its way for is left alone.
    """
    chosen = {"failed": failed, "unprocessed": unprocessed, "completed": completed}
    kinds = [name for name, wanted in chosen.items() if wanted]
    if not kinds:
        raise SettingsError(
            "it is not said which files", hint="add --failed, --unprocessed or --completed"
        )
    body = {"kinds": kinds, "since": since, "dryRun": dry_run}
    if until:
        body["until"] = until
    answer = session.client.send("POST", path_of("pipelines", pipeline, "reprocess"), body=body)
    count = answer["total"]
    files = f"{count} file" + ("" if count == 1 else "s")
    name = printable(pipeline)
    if dry_run:
        lines = [f"{each['fileId']}  {path_shown(each)}" for each in answer["files"]]
        session.show(answer, *lines, f"{name} would run again for {files}")
    else:
        session.show(answer, f"{name} runs again for {files}")

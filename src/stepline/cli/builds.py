"""A build's log, followed to its last line."""

from __future__ import annotations

import time

import click

from stepline.cli.client import path_of
from stepline.cli.display import printable
from stepline.cli.session import Session

# Half a minute and more: a service that is started again is waited for.
PATIENT_TRIES = 20
_PAUSES_S = (0.1, 0.2, 0.4, 0.8, 1.5)


def follow_build(session: Session, build_id: str, *, aside: bool = False) -> str:
    """Print the lines of a build's log as they come, and return how the build ended.

    Args:
        session: The service.
        build_id: The build.
        aside: Whether the lines go to standard error; with ``--json`` they always do.

    Raises:
        KeyboardInterrupt: After it was said that the build goes on.
    """
    try:
        return _follow(session, build_id, aside=aside or session.json_output)
    except KeyboardInterrupt:
        click.echo(
            f"\nthe build goes on without you; see it with: stepline artifact log {build_id}",
            err=True,
        )
        raise


def _follow(session: Session, build_id: str, *, aside: bool) -> str:
    token, turn = "", 0
    client = session.client
    while True:
        build = client.get(
            path_of("artifact", "builds", build_id), tries=PATIENT_TRIES, patient=True
        )["build"]
        # The page that follows the end of the build has all that is left.
        page = client.get(
            path_of("artifact", "build-logs", build_id),
            tries=PATIENT_TRIES,
            patient=True,
            nextToken=token,
        )
        for event in page["events"]:
            click.echo(printable(event["message"], keep="\t"), err=aside)
        token = page["nextToken"]
        if build["buildComplete"]:
            return str(build["buildStatus"])
        turn = 0 if page["events"] else min(turn + 1, len(_PAUSES_S) - 1)
        time.sleep(_PAUSES_S[turn])

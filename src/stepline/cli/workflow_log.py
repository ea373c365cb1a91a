"""A workflow's log: of all its steps and attempts, and of those that are still to come."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from stepline.cli.builds import PATIENT_TRIES
from stepline.cli.client import TRIES, path_of
from stepline.cli.display import lines_of, printable
from stepline.cli.progress import readable
from stepline.cli.session import Plain, Session
from stepline.errors import SettingsError

_ENDED = ("completed", "failed", "cancelled")
_PAGE = 1000
_WAIT_S = 10
_PAUSE_S = 0.3

Place = tuple[int, int]


class WorkflowLog:
    """Prints what the tasks of a workflow printed.

    Args:
        session: The service, and how to print.
        workflow_id: The workflow.
        step: Id of a step, or its number from 1; None for all.
    """

    def __init__(self, session: Session, workflow_id: str, *, step: str | None) -> None:
        self._session = session
        self._path = path_of("workflow", workflow_id)
        self._workflow_id = workflow_id
        self._step = step
        self._marks: dict[Place, int] = {}
        self._complete: set[Place] = set()
        self._unended: Place | None = None
        self._said = False

    def show(self, *, follow: bool) -> str:
        """Print all that is there, and what comes until the workflow has ended.

        Returns:
            The workflow's status.

        Raises:
            SettingsError: It has no such step.
        """
        while True:
            # Looked at before the logs: when it has ended, they have all that there is.
            found = self._session.client.get(
                self._path, tries=PATIENT_TRIES if follow else TRIES, patient=follow
            )
            tasks = self._chosen(found["tasks"])
            places = [place for task in tasks for place in self._places(task)]
            for place in places:
                self._print_rest(place, tasks)
            if not follow or found["status"] in _ENDED:
                return str(found["status"])
            self._say_why_it_waits(found)
            self._wait(places, tasks)

    def _say_why_it_waits(self, found: Plain) -> None:
        if found.get("waiting") and not self._said:
            self._said = True
            why = "its pipeline is paused, or runs as many workflows as it may"
            click.echo(f"the workflow waits: {why}", err=True)

    def _chosen(self, tasks: list[Plain]) -> list[Plain]:
        if self._step is None:
            return tasks
        chosen = [task for task in tasks if self._step in (task["stepId"], str(task["step"] + 1))]
        if not chosen:
            names = ", ".join(f"{task['step'] + 1} ({task['name']})" for task in tasks)
            raise SettingsError(
                f"the workflow has no step '{printable(self._step)}'",
                hint=f"its steps are {printable(names)}",
            )
        return chosen

    def _places(self, task: Plain) -> list[Place]:
        """Return the attempts at a step whose logs have not come to their end."""
        step = int(task["step"])
        places = [(step, number) for number in range(1, int(task["attempt"]) + 1)]
        return [place for place in places if place not in self._complete]

    def _page(self, step: int, attempt: int, *, after: int, wait: int) -> Plain:
        page: Plain = self._session.client.get(
            f"{self._path}/log",
            tries=PATIENT_TRIES,
            patient=True,
            step=str(step),
            attempt=attempt,
            after=after or None,
            limit=_PAGE,
            wait=wait or None,
        )
        return page

    def _print_rest(self, place: Place, tasks: list[Plain], *, wait: int = 0) -> None:
        """Print what an attempt has printed since the last time."""
        while place not in self._complete:
            page = self._page(*place, after=self._marks.get(place, 0), wait=wait)
            self._marks[place] = int(page["after"])
            self._print(place, page["lines"], tasks)
            if page["complete"]:
                self._complete.add(place)
            if wait or not page["lines"]:
                return

    def _wait(self, places: list[Place], tasks: list[Plain]) -> None:
        """Wait for a line of the newest attempt, or for a while."""
        running = [place for place in places if place not in self._complete]
        if running:
            began = time.monotonic()
            self._print_rest(running[-1], tasks, wait=_WAIT_S)
            if time.monotonic() - began >= _PAUSE_S:
                return
        time.sleep(_PAUSE_S)

    def _print(self, place: Place, lines: list[Plain], tasks: list[Plain]) -> None:
        if self._session.json_output:
            for line in lines:
                words = {"step": place[0], "attempt": place[1], **line}
                click.echo(json.dumps(words, ensure_ascii=False))
            return
        prefix = _prefix(place, tasks)
        for line in lines:
            self._print_line(place, line, prefix)

    def _print_line(self, place: Place, line: Plain, prefix: str) -> None:
        if self._unended not in (None, place):
            click.echo()
            self._unended = None
        before = "" if self._unended == place else prefix
        text = f"\n{prefix}  ".join(lines_of(readable(str(line["text"]))))
        click.echo(f"{before}{text}", nl=bool(line["ended"]))
        self._unended = None if line["ended"] else place


def _prefix(place: Place, tasks: list[Any]) -> str:
    """Return what tells lines of several steps or attempts apart."""
    step, attempt = place
    name = next(str(task["name"]) for task in tasks if task["step"] == step)
    again = f" #{attempt}" if attempt > 1 else ""
    return f"{printable(name)}{again} | "

"""What is sent to the service: files, in each of the ways that there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

from stepline.frozen import frozen
from stepline.server.selftest.places import Places

RETRIES = 2
# The phase of a service on a new folder, until it is asked for something.
FIRST_START = "first start"

# How the tasks treat the files, in turn: those of one word fail once, those of another always.
_WORDS = ("ok", "flaky", "ok", "ok", "bad", "ok", "ok")


class Way(str, Enum):
    """How a file comes: renamed into the watched folder, written there, or uploaded."""

    RENAME = "rename"
    CLOSE = "close"
    UPLOAD = "upload"


@frozen
class Command:
    """Something that the service is asked to do, again until it has answered.

    Attributes:
        phase: What that is part of.
        name: Name of the command.
        arguments: What it gets.
    """

    phase: str
    name: str
    arguments: Mapping[str, Any]


@frozen
class Sent:
    """A file that was sent.

    Attributes:
        number: Which one.
        way: How.
    """

    number: int
    way: Way

    @property
    def fails(self) -> bool:
        """Whether its workflow has to fail."""
        return self.text.startswith("bad")

    @property
    def text(self) -> str:
        """What it says; no other says the same."""
        return f"{_WORDS[self.number % len(_WORDS)]} {self.number}"

    @property
    def name(self) -> str:
        """Its name."""
        return f"{self.number:06d}.txt"

    @property
    def key(self) -> str:
        """The key that it has to have in the service."""
        return f"demo/{'upload' if self.way is Way.UPLOAD else 'inbox'}/RAW/{self.name}"

    @property
    def file_id(self) -> str:
        """The id that it is uploaded under; nothing for the other ways."""
        return f"selftest-{self.number}" if self.way is Way.UPLOAD else ""

    def send(self, places: Places) -> Command | None:
        """Put it into the watched folder, or return the command that uploads it."""
        if self.way is Way.CLOSE:
            (places.inbox / self.name).write_text(self.text)
            return None
        draft = places.drafts / self.name
        draft.write_text(self.text)
        if self.way is Way.RENAME:
            draft.rename(places.inbox / self.name)
            return None
        arguments = {"file_id": self.file_id, "path": self.name, "source": str(draft)}
        return Command("files", "add", arguments)


def sent(number: int) -> Sent:
    """Return the file of a number; the ways take turns."""
    return Sent(number, list(Way)[number % len(Way)])


def publishing(version: str) -> list[Command]:
    """Return what publishes our task script and protocols under a version."""
    script, protocol = "task-scripts", "master-scripts"
    parts = [
        (script, "script", "selftest"),
        (protocol, "first", "selftest-first"),
        (protocol, "second", "selftest-second"),
    ]
    return [
        Command(
            "publishing",
            "publish",
            {"kind": kind, "folder": folder, "slug": slug, "version": version, "wait": True},
        )
        for kind, folder, slug in parts
    ]


def unheard(publishing: Command) -> Command:
    """Return the command of one who publishes, but does not wait to hear what came of it."""
    return replace(publishing, arguments={**publishing.arguments, "wait": False})


def pipelines(description: str) -> list[Command]:
    """Return what sets our pipelines; another description makes new revisions."""
    clauses = {
        "selftest-first": {"key": "category", "value": "RAW"},
        "selftest-second": {"key": "fileName", "value": "result.txt"},
    }
    return [
        Command(
            "pipelines",
            "apply",
            {"name": name, "clause": clause, "description": description},
        )
        for name, clause in clauses.items()
    ]

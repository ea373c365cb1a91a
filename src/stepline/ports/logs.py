"""Logs: what each attempt printed, kept line by line and readable while it runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

from stepline.frozen import frozen
from stepline.ports.executor import LogLine
from stepline.ports.freed import Freed


@frozen
class LogPage:
    """Part of an attempt's log.

    Attributes:
        lines: Entries, oldest first.
        after: What to give as ``after`` for the next part.
        complete: Whether nothing follows: the attempt has ended and this is the last part.
            Never so for an attempt without output, and for one whose platform died.
    """

    lines: tuple[LogLine, ...]
    after: int
    complete: bool


class LogWriter(Protocol):
    """Takes what one attempt prints; several threads may use it."""

    def add(self, lines: Sequence[LogLine]) -> None:
        """Append lines; readers see them when this returns.

        Raises:
            PlatformError: There is no place for them, none was kept, and it is retryable; or
                the log is closed.
        """

    def close(self) -> None:
        """Complete the log, and return when it is on the disk. Again, this does nothing.

        Raises:
            PlatformError: It may not be on the disk.
        """


class LogStore(Protocol):
    """Keeps the logs of attempts; several threads may use it."""

    def writer(self, workflow_id: str, *, step: int, attempt: int) -> LogWriter:
        """Begin the log of an attempt, anew if there is one.

        Whoever wrote the earlier one writes on without being heard.

        Raises:
            PlatformError: The earlier log cannot be removed.
        """

    def read(
        self, workflow_id: str, *, step: int, attempt: int, after: int = 0, limit: int = 1000
    ) -> LogPage:
        """Return part of a log; an empty one where there is none.

        A log that was begun anew is read from its start, where that can be seen.

        Args:
            workflow_id: The workflow.
            step: Index of the step.
            attempt: Number of the attempt.
            after: ``LogPage.after`` of the part before; 0 for the first.
            limit: Most lines; there may be fewer although more follow.

        Raises:
            PlatformError: It cannot be read.
        """

    def attempts(self, workflow_id: str) -> Sequence[tuple[int, int]]:
        """Return step and attempt of each log of a workflow, in order."""

    def workflows(self) -> Iterator[str]:
        """Yield the ids of workflows that have logs.

        Raises:
            PlatformError: They cannot be listed.
        """

    def delete(self, workflow_id: str, *, before: float = math.inf, dry_run: bool = False) -> Freed:
        """Remove the logs of a workflow; there may be none.

        Args:
            workflow_id: The workflow.
            before: Seconds since the epoch; logs that were written to since then stay.
            dry_run: Whether to remove nothing, and only tell what would be.

        Raises:
            PlatformError: They cannot be removed.
        """

"""What a self-test counts: for each kind of loss, what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum


class Kind(str, Enum):
    """A kind of loss; the value is what people see."""

    EVENTS_LOST = "events lost"
    EVENTS_DOUBLED = "events doubled"
    RESULTS_LOST = "results lost"
    FILES_DOUBLED = "files doubled"
    ATTEMPTS = "attempts lost or doubled"
    LOGS = "logs lost or mixed"
    LEDGER = "gaps in the ledger"
    LEASES = "orphan leases"
    SCRATCH = "left-over scratch files"
    PROCESSES = "processes left behind"
    DATABASE = "faults of the database"
    BLOBS = "missing or wrong bytes"
    SERVICE = "faults of the service"
    MISSED = "commit points not reached"


class Findings:
    """Losses, each with a line about it."""

    def __init__(self) -> None:
        self._found: dict[Kind, list[str]] = {kind: [] for kind in Kind}

    def add(self, kind: Kind, *lines: str) -> None:
        """Note losses of a kind."""
        self._found[kind].extend(lines)

    def expect(self, kind: Kind, is_well: bool, *, line: str) -> bool:
        """Note a loss unless all is well; return whether it is."""
        if not is_well:
            self.add(kind, line)
        return is_well

    @property
    def counts(self) -> Mapping[str, int]:
        """How many losses there are of each kind."""
        return {kind.value: len(lines) for kind, lines in self._found.items()}

    @property
    def total(self) -> int:
        """How many losses there are."""
        return sum(self.counts.values())

    def lines(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield each kind that was found, with its lines."""
        return ((kind.value, lines) for kind, lines in self._found.items() if lines)

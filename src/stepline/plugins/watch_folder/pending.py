"""Files that are to be looked at, now or at a later moment."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

from stepline.plugins.watch_folder.looks import Stamp


@dataclass(slots=True)
class Entry:
    """A file to look at.

    Attributes:
        relative: Its path in the folder.
        due: When, in seconds of the monotonic clock.
        published: Whether it was reported closed or moved in; else it was only seen.
        refusals: How often it was offered and not taken.
        delay: Seconds after which it was looked at last, in vain.
        stamp: Its state at that look, where only unchanged states tell that it is whole.
    """

    relative: str
    due: float
    published: bool = False
    refusals: int = 0
    delay: float = 0.0
    stamp: Stamp | None = None


class Pending:
    """Entries by path and by time; the caller sees to it that one thread uses it at a time.

    Args:
        limit: So many entries at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: dict[str, Entry] = {}
        self._heap: list[tuple[float, int, Entry]] = []
        self._numbers = itertools.count()
        self.refused = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, relative: str) -> bool:
        return relative in self._entries

    def put(self, entry: Entry) -> bool:
        """Add an entry; one that is due earlier, or tells more, replaces another.

        Returns:
            False if there are too many.
        """
        known = self._entries.get(entry.relative)
        if known is None and len(self._entries) >= self._limit:
            return False
        if known is not None:
            if known.published >= entry.published and known.due <= entry.due:
                return True
            entry.published |= known.published
            entry.refusals = max(entry.refusals, known.refusals)
            self._remove(known)
        self._entries[entry.relative] = entry
        self.refused += bool(entry.refusals)
        heapq.heappush(self._heap, (entry.due, next(self._numbers), entry))
        return True

    def next_due(self) -> float | None:
        """Return when the next entry is due; None if there is none."""
        while self._heap and self._is_stale(self._heap[0][2]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: float, *, limit: int) -> list[Entry]:
        """Remove and return entries that are due, first those that waited longest.

        Those that were refused come in smaller groups each time, so that the one that
        is to blame does not hold up the others for long.
        """
        taken: list[Entry] = []
        while (due := self.next_due()) is not None and due <= now:
            entry = self._heap[0][2]
            size = max(1, limit >> 4 * entry.refusals)
            if taken and (len(taken) >= size or entry.refusals != taken[0].refusals):
                break
            heapq.heappop(self._heap)
            self._remove(entry)
            taken.append(entry)
        return taken

    def _remove(self, entry: Entry) -> None:
        del self._entries[entry.relative]
        self.refused -= bool(entry.refusals)

    def _is_stale(self, entry: Entry) -> bool:
        return self._entries.get(entry.relative) is not entry

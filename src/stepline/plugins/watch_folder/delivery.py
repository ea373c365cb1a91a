"""Looks at files, and offers those that are whole; one thread does all of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from stepline.frozen import frozen
from stepline.plugins.watch_folder.delivered import Delivered
from stepline.plugins.watch_folder.faults import Faults
from stepline.plugins.watch_folder.looks import (
    LEASE_FILE_SYSTEMS,
    Refused,
    Stamp,
    Writers,
    stamp_of,
    writers,
)
from stepline.plugins.watch_folder.pending import Entry, Pending
from stepline.ports.watcher import Found, FoundFile

GROUP = 256
_PENDING = 100_000
_FIRST_DELAY_S = 0.1
_FOUND = "found"


@frozen(kw_only=True)
class Timing:
    """How long things wait, in seconds.

    Attributes:
        interval_s: Between two looks at everything.
        settle_s: For so long a file must stay the same where nobody can tell who writes.
        created_s: After this time something that was made, but not closed, is looked at.
        retry_s: Until refused files are offered again for the first time.
        retry_max_s: The longest time until they are.
        absent_s: Between two looks for a folder that is not there.
    """

    interval_s: float = 60.0
    settle_s: float = 2.0
    created_s: float = 0.2
    retry_s: float = 0.5
    retry_max_s: float = 30.0
    absent_s: float = 1.0


class Delivery:
    """Offers files; `put` may be called by any thread, the rest by one.

    Args:
        found: Takes files.
        root: Absolute path of the folder.
        timing: How long things wait.
        faults: Takes what is wrong.
        lease_file_systems: Those whose leases tell of every writer.
        pending: So many files may wait at most.

    Attributes:
        stopped: Set it to have the current call of `found` be the last.
        is_short: Whether files were left out because too many wait.
        found_s: Processor time that `found` took so far, in seconds.
    """

    def __init__(
        self,
        found: Found,
        root: str,
        *,
        timing: Timing,
        faults: Faults,
        lease_file_systems: frozenset[int] = LEASE_FILE_SYSTEMS,
        pending: int = _PENDING,
    ) -> None:
        self._found = found
        self._root = root
        self._timing = timing
        self._faults = faults
        self._lease_file_systems = lease_file_systems
        self._lock = threading.Lock()
        self._pending = Pending(pending)
        self._delivered = Delivered()
        self.stopped = False
        self.is_short = False
        self.found_s = 0.0
        self._last_error = ""

    def put(self, entries: Iterable[Entry]) -> None:
        """Have files looked at when they are due; `is_short` tells if there were too many."""
        with self._lock:
            for entry in entries:
                if not self._pending.put(entry):
                    self.is_short = True

    def next_due(self) -> float | None:
        """Return when the next file is to be looked at, by the monotonic clock."""
        with self._lock:
            return self._pending.next_due()

    def retry_after_s(self) -> float:
        """Return after what time files that were left out should be looked for."""
        with self._lock:
            refused = self._pending.refused
        return self._timing.retry_max_s if refused else self._timing.retry_s

    def offer_due(self) -> None:
        """Look at all files that are due, and offer those that are whole."""
        while not self.stopped:
            with self._lock:
                entries = self._pending.take(time.monotonic(), limit=GROUP)
            if not entries:
                return
            self._look(entries)

    def offer_seen(self, paths: Iterable[str]) -> None:
        """Look at all files of a list that do not wait anyway, and offer those that are whole.

        What is due meanwhile is offered as well.
        """
        group: list[Entry] = []
        for relative in paths:
            if self.stopped:
                return
            if self._is_news(relative):
                group.append(Entry(relative, due=0.0))
            if len(group) == GROUP:
                self._look(group)
                group = []
                self.offer_due()
        self._look(group)
        self.offer_due()

    def _is_news(self, relative: str) -> bool:
        with self._lock:
            if relative in self._pending:
                self._faults.keep_path(self._path(relative))
                return False
        stamp = self._stamp(relative)
        return stamp is not None and self._file(relative, stamp) not in self._delivered

    def _look(self, entries: list[Entry]) -> None:
        whole = [(entry, file) for entry in entries if (file := self._whole(entry)) is not None]
        if not whole:
            self._note_refusals(None)
            return
        files = [file for _, file in whole]
        begun = time.thread_time()
        try:
            self._found(files)
        except Exception as error:  # noqa: BLE001  (whatever it was, the files are offered again)
            self._put_off([entry for entry, _ in whole])
            self._note_refusals(error)
            return
        finally:
            self.found_s += time.thread_time() - begun
        for file in files:
            self._delivered.add(file)
        self._note_refusals(None)

    def _whole(self, entry: Entry) -> FoundFile | None:
        """Return the file if it may be taken now; otherwise see that it is looked at later."""
        stamp = self._stamp(entry.relative)
        if stamp is None or self._file(entry.relative, stamp) in self._delivered:
            return None
        try:
            who, stamp = writers(
                self._path(entry.relative), lease_file_systems=self._lease_file_systems
            )
        except Refused as refused:
            self._faults.put_path(self._path(entry.relative), str(refused))
            return None
        if stamp is None:
            return None
        if who is Writers.SOME:
            self._wait_for_writers(entry)
            return None
        if who is Writers.UNKNOWN and not entry.published and entry.stamp != stamp:
            self._wait_until_settled(entry, stamp)
            return None
        return self._file(entry.relative, stamp)

    def _wait_for_writers(self, entry: Entry) -> None:
        # They may close it by another name, of which there is no event here.
        delay = min(max(_FIRST_DELAY_S, 2 * entry.delay), self._timing.interval_s)
        self._put_later(entry, delay)

    def _wait_until_settled(self, entry: Entry, stamp: Stamp) -> None:
        self._put_later(entry, self._timing.settle_s, stamp=stamp)

    def _put_later(self, entry: Entry, delay: float, *, stamp: Stamp | None = None) -> None:
        due = time.monotonic() + delay
        self.put(
            [Entry(entry.relative, due, refusals=entry.refusals, delay=delay, stamp=stamp)],
        )

    def _put_off(self, entries: list[Entry]) -> None:
        now = time.monotonic()
        timing = self._timing
        for entry in entries:
            delay = min(timing.retry_s * 2.0 ** min(entry.refusals, 30), timing.retry_max_s)
            entry.refusals += 1
            entry.due = now + delay
            # It was whole; what is written to it until then is another event.
            entry.stamp = self._stamp(entry.relative)
        self.put(entries)

    def _note_refusals(self, error: Exception | None) -> None:
        with self._lock:
            refused = self._pending.refused
        if error is not None:
            self._last_error = f"{type(error).__name__}: {error}"
        text = f"{self._root}: files that are not taken: {refused} ({self._last_error})"
        self._faults.put(_FOUND, text if refused else "")

    def _stamp(self, relative: str) -> Stamp | None:
        try:
            return stamp_of(self._path(relative))
        except Refused as refused:
            self._faults.put_path(self._path(relative), str(refused))
            return None

    def _file(self, relative: str, stamp: Stamp) -> FoundFile:
        return FoundFile(self._path(relative), relative, *stamp)

    def _path(self, relative: str) -> str:
        return f"{self._root}/{relative}"

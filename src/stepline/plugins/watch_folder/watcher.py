"""A watched folder: one thread reads events, another looks at files and offers them.

Reading goes on while files are taken, so that the kernel's queue does not fill. Where
it does, or where the system gives no events, a look at everything finds the files.
"""

from __future__ import annotations

import math
import os
import select
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from stepline.errors import PlatformError
from stepline.plugins.watch_folder import inotify as bits
from stepline.plugins.watch_folder.delivery import Delivery, Timing
from stepline.plugins.watch_folder.faults import Faults
from stepline.plugins.watch_folder.inotify import Event, Inotify
from stepline.plugins.watch_folder.looks import LEASE_FILE_SYSTEMS, is_left_alone
from stepline.plugins.watch_folder.pending import Entry
from stepline.plugins.watch_folder.tree import Tree
from stepline.ports.watcher import Found

_EVENTS = "events"
_ITSELF = "itself"
_AFTER_FAULT_S = 1.0
# A look at everything takes at most this part of one processor's time.
_SHARE = 0.01
_LONGEST_REST = 10


class FolderWatch:
    """Watches a folder of this machine.

    Args:
        folder: The folder; it may come and go.
        found: Takes files.
        timing: How long things wait.
        lease_file_systems: Those whose leases tell of every writer.
        pending: So many files may wait at most; those beyond are found by a later look.
    """

    def __init__(
        self,
        folder: Path,
        found: Found,
        *,
        timing: Timing | None = None,
        lease_file_systems: Iterable[int] = LEASE_FILE_SYSTEMS,
        pending: int = 100_000,
    ) -> None:
        self._timing = timing or Timing()
        self._faults = Faults()
        self._inotify = self._opened()
        root = os.path.abspath(folder)
        self._tree = Tree(root, self._inotify, faults=self._faults)
        self._delivery = Delivery(
            found,
            root,
            timing=self._timing,
            faults=self._faults,
            lease_file_systems=frozenset(lease_file_systems),
            pending=pending,
        )
        self._root_id: tuple[int, int] | None = None
        self._scan_due = 0.0
        self._root_due = math.inf
        self._asked = self._served = 0
        self._changed = threading.Condition()
        self._stopped = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._reader = threading.Thread(target=self._read, name="watch-events", daemon=True)
        self._worker = threading.Thread(target=self._work, name="watch-files", daemon=True)

    @property
    def faults(self) -> Sequence[str]:
        """What is wrong now, a sentence each; empty while all is well."""
        return self._faults.texts()

    def start(self) -> None:
        """Begin; return once nothing that is written from now on can be missed."""
        with self._changed:
            if self._stopped or self._reader.ident is not None:
                raise PlatformError(f"the watch of {self._tree.root} was started before")
            self._reader.start()
        self._root_id = self._tree.attach()
        for _ in self._tree.walk("") if self._root_id else ():
            pass
        self._worker.start()

    def rescan(self) -> None:
        """Look at everything again; return when all that was found was offered."""
        with self._changed:
            self._asked += 1
            ticket = self._asked
            self._scan_by(0.0)
            if threading.current_thread() is self._worker:
                return  # it will, after this call of ours
            while self._served < ticket and self._worker.is_alive() and not self._stopped:
                self._changed.wait()

    def stop(self) -> None:
        """End, and wait for a call of `found` to return; may be called again."""
        with self._changed:
            first, self._stopped = not self._stopped, True
            self._delivery.stopped = True
            self._changed.notify_all()
        if first:
            os.eventfd_write(self._wake, 1)
        for thread in (self._reader, self._worker):
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join()
        if first:
            self._close()

    def _opened(self) -> Inotify | None:
        try:
            return Inotify()
        except OSError as error:
            self._faults.put(_EVENTS, f"the system gives no events of files: {error.strerror}")
            return None

    def _close(self) -> None:
        os.close(self._wake)
        if self._inotify is not None:
            self._inotify.close()

    # The thread that reads events.

    def _read(self) -> None:
        queue = self._inotify
        if queue is None:
            return
        poll = select.poll()
        poll.register(queue.fileno(), select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while not self._stopped:
            poll.poll()
            try:
                self._handle(queue.read())
            except Exception as error:  # noqa: BLE001  (a thread that ended would miss files)
                self._recover(error)

    def _handle(self, events: list[Event]) -> None:
        entries: dict[str, Entry] = {}
        for event in events:
            folder = self._tree.folder_of(event.watch)
            if event.mask & bits.OVERFLOW:
                self._scan_by(0.0)
            elif folder is None:
                continue
            elif not event.name:
                self._handle_folder(event, folder)
            elif not is_left_alone(event.name):
                relative = f"{folder}/{event.name}" if folder else event.name
                self._handle_child(event, relative, entries=entries)
        self._put(entries)

    def _handle_child(self, event: Event, relative: str, *, entries: dict[str, Entry]) -> None:
        now = time.monotonic()
        if event.mask & bits.IS_FOLDER:
            for inside in self._tree.walk(relative):
                entries.setdefault(inside, Entry(inside, now))
        elif event.mask & (bits.CLOSE_WRITE | bits.MOVED_TO):
            entries[relative] = Entry(relative, now, published=True)
        elif event.mask & bits.CREATE:
            # Most are closed in a moment; of a link, or another kind of file, nothing follows.
            entries.setdefault(relative, Entry(relative, now + self._timing.created_s))

    def _handle_folder(self, event: Event, folder: str) -> None:
        if event.mask & bits.MOVE_SELF:
            if self._tree.is_in_place(event.watch):
                return
            self._tree.forget(folder)
        elif event.mask & bits.UNMOUNT:
            if not folder:
                self._tree.note_unmounted()
            self._tree.drop(event.watch)
        elif event.mask & (bits.DELETE_SELF | bits.IGNORED):
            self._tree.drop(event.watch)
        if not folder or event.mask & bits.UNMOUNT:
            self._scan_by(0.0)

    def _put(self, entries: dict[str, Entry]) -> None:
        if entries:
            self._delivery.put(entries.values())
            with self._changed:
                self._changed.notify_all()

    def _scan_by(self, due: float) -> None:
        with self._changed:
            self._scan_due = min(self._scan_due, due)
            self._changed.notify_all()

    # The thread that looks at files.

    def _work(self) -> None:
        while self._wait():
            try:
                self._delivery.offer_due()
                self._scan_if_due()
            except Exception as error:  # noqa: BLE001  (a thread that ended would miss files)
                self._recover(error)

    def _wait(self) -> bool:
        """Wait until there is something to do; False at the end."""
        with self._changed:
            while not self._stopped:
                file_due = self._delivery.next_due()
                due = min(self._scan_due, self._root_due)
                due = due if file_due is None else min(due, file_due)
                left = due - time.monotonic()
                if left <= 0:
                    return True
                self._changed.wait(left)
        return False

    def _scan_if_due(self) -> None:
        now = time.monotonic()
        if self._delivery.is_short:
            self._delivery.is_short = False
            self._scan_by(now + self._delivery.retry_after_s())
        with self._changed:
            ticket, is_due = self._asked, self._scan_due <= now
            is_root_due = self._root_due <= now
            if is_due:  # what asks for another look meanwhile gets one
                self._scan_due = now + self._timing.interval_s
        if is_due or is_root_due:
            self._look_at_root(scan=is_due)
        if is_due:
            with self._changed:
                self._served = ticket
                self._changed.notify_all()

    def _look_at_root(self, *, scan: bool) -> None:
        before, self._root_id = self._root_id, self._tree.attach()
        well = self._root_id is not None and not self._tree.is_unmounted
        self._root_due = math.inf if well else time.monotonic() + self._timing.absent_s
        if self._root_id is not None and (scan or self._root_id != before):
            self._scan()

    def _scan(self) -> None:
        begun = time.thread_time() - self._delivery.found_s
        self._faults.begin()
        self._tree.begin()
        self._delivery.offer_seen(self._tree.walk(""))
        if self._stopped:
            return
        self._tree.end()
        self._faults.end()
        self._faults.put(_ITSELF, "")
        used = time.thread_time() - self._delivery.found_s - begun
        self._rest(used)

    def _rest(self, used: float) -> None:
        """Put the next look off where looks are so long that they would be felt."""
        interval = self._timing.interval_s
        more = min(used / _SHARE, _LONGEST_REST * interval) - interval
        with self._changed:
            if more > 0 and self._scan_due > time.monotonic():
                self._scan_due += more

    def _recover(self, error: Exception) -> None:
        self._faults.put(_ITSELF, f"{self._tree.root}: {type(error).__name__}: {error}")
        time.sleep(_AFTER_FAULT_S)
        self._scan_by(0.0)

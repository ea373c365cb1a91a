"""The kernel's reports about folders: inotify(7), with just the events that are needed.

Why not through a library: docs/decisions/0011-folders-by-inotify-itself.md.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import NamedTuple

CLOSE_WRITE = 0x0008
MOVED_TO = 0x0080
CREATE = 0x0100
DELETE_SELF = 0x0400
MOVE_SELF = 0x0800
UNMOUNT = 0x2000
OVERFLOW = 0x4000
IGNORED = 0x8000
IS_FOLDER = 0x4000_0000

_ONLY_FOLDERS = 0x0100_0000
_DONT_FOLLOW = 0x0200_0000
_EXCL_UNLINK = 0x0400_0000

# Whatever else happens to files only fills the queue.
_WANTED = CLOSE_WRITE | MOVED_TO | CREATE | DELETE_SELF | MOVE_SELF | _ONLY_FOLDERS | _EXCL_UNLINK

_HEAD = struct.Struct("iIII")
_READ_BYTES = 256 * 1024


class Event(NamedTuple):
    """One report.

    Attributes:
        watch: Number of the watch; -1 if the queue was full and events are lost.
        mask: What happened, as bits.
        name: Name in the watched folder; empty for the folder itself.
    """

    watch: int
    mask: int
    name: str


class Inotify:
    """A queue of events of the folders that were added.

    Raises:
        OSError: The system allows no further queue.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._checked(self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "")

    def fileno(self) -> int:
        """Return the descriptor that becomes readable with an event."""
        return self._fd

    def add(self, path: str, *, follow: bool = False) -> int:
        """Watch a folder; return the number of its watch.

        A folder has one number, however often and by whatever path it is added.

        Args:
            path: The folder.
            follow: Whether it may be a symbolic link to one.

        Raises:
            OSError: There is no such folder, it may not be read, or there are too many.
        """
        mask = _WANTED if follow else _WANTED | _DONT_FOLLOW
        return self._checked(
            self._libc.inotify_add_watch(self._fd, os.fsencode(path), ctypes.c_uint32(mask)), path
        )

    def remove(self, watch: int) -> None:
        """End a watch, which may have ended by itself."""
        self._libc.inotify_rm_watch(self._fd, watch)

    def read(self) -> list[Event]:
        """Return the events that are there, without waiting for one."""
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return []
        events, at = [], 0
        while at < len(data):
            watch, mask, _cookie, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            name = os.fsdecode(data[at : at + length].rstrip(b"\0"))
            events.append(Event(watch, mask, name))
            at += length
        return events

    def close(self) -> None:
        """End all watches."""
        os.close(self._fd)

    def _checked(self, result: int, path: str) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        return result

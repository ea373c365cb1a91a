"""Logs in a folder: ``<two characters>/<workflow>/<step>-<attempt>.jsonl``.

Each line is an object with ``at`` (seconds since the epoch), ``stream`` and ``text``, and
``"ended": false`` where it is part of a line; ``{"end": true}`` completes a log. Lines are
appended by one write each time, so readers take any line that has its end.
"""

from __future__ import annotations

import json
import math
import os
import re
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BufferedReader
from typing import Any

from stepline.errors import PlatformError
from stepline.plugins.files_local.disk import disk_error
from stepline.plugins.files_local.durable import sync_folders
from stepline.ports.executor import LogLine
from stepline.ports.freed import Freed
from stepline.ports.logs import LogPage

# A part of a log is no longer than this, however long its lines are, but has at least one.
PAGE_BYTES = 1024 * 1024
_KEPT = "the log cannot be kept"
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_END = b'{"end": true}\n'
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,199}")
_NAME = re.compile(r"([0-9]+)-([0-9]+)\.jsonl")


class FolderLogs:
    """Keeps logs in a folder.

    Args:
        root: The folder; made when the first line arrives.
    """

    def __init__(self, root: str) -> None:
        self._root = os.path.abspath(root)
        self._mutex = threading.Lock()
        self._newest: weakref.WeakValueDictionary[str, FolderLogWriter]
        self._newest = weakref.WeakValueDictionary()

    def writer(self, workflow_id: str, *, step: int, attempt: int) -> FolderLogWriter:
        """Begin the log of an attempt, anew if there is one.

        Raises:
            PlatformError: The earlier log cannot be removed.
        """
        if not _ID.fullmatch(workflow_id):
            raise PlatformError(f"{workflow_id!r} cannot be the id of a workflow")
        path = self._path(workflow_id, step, attempt)
        with self._mutex:
            writer = self._newest[path] = FolderLogWriter(path, self)
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise disk_error(error, "an earlier log cannot be removed") from error
        return writer

    def open_for(self, writer: FolderLogWriter, path: str) -> tuple[int, list[str]]:
        """Make the file of a log.

        Returns:
            A descriptor to append to, and the folders to sync when the log is complete:
            none for a log that nobody will read.

        Raises:
            OSError: There is no place for it.
        """
        with self._mutex:
            if self._newest.get(path) is not writer:
                # The attempt was begun anew since; what this one says concerns nobody.
                return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), []
            folder = os.path.dirname(path)
            try:
                return os.open(path, _APPEND, 0o600), [folder]
            except FileNotFoundError:
                os.makedirs(folder, mode=0o700, exist_ok=True)
            return os.open(path, _APPEND, 0o600), [folder, os.path.dirname(folder), self._root]

    def read(
        self, workflow_id: str, *, step: int, attempt: int, after: int = 0, limit: int = 1000
    ) -> LogPage:
        """Return part of a log; an empty one where there is none.

        Raises:
            PlatformError: It cannot be read.
        """
        nothing = LogPage((), after, False)
        if not _ID.fullmatch(workflow_id):
            return nothing
        try:
            with open(self._path(workflow_id, step, attempt), "rb") as file:
                return _page(file, after, limit)
        except FileNotFoundError:
            return nothing
        except OSError as error:
            raise disk_error(error, "the log cannot be read", retryable=True) from error

    def attempts(self, workflow_id: str) -> Sequence[tuple[int, int]]:
        """Return step and attempt of each log of a workflow, in order."""
        try:
            names = os.listdir(self._folder(workflow_id)) if _ID.fullmatch(workflow_id) else []
        except FileNotFoundError:
            return []
        except OSError as error:
            raise disk_error(error, "the logs cannot be listed", retryable=True) from error
        return sorted((int(m[1]), int(m[2])) for m in map(_NAME.fullmatch, names) if m)

    def workflows(self) -> Iterator[str]:
        """Yield the ids of workflows that have logs.

        Raises:
            PlatformError: They cannot be listed.
        """
        for parent in self._names(self._root):
            yield from filter(_ID.fullmatch, self._names(os.path.join(self._root, parent)))

    def delete(self, workflow_id: str, *, before: float = math.inf, dry_run: bool = False) -> Freed:
        """Remove the logs of a workflow; there may be none.

        Args:
            workflow_id: The workflow.
            before: Seconds since the epoch; logs that were written to since then stay.
            dry_run: Whether to remove nothing, and only tell what would be.

        Raises:
            PlatformError: They cannot be removed.
        """
        if not _ID.fullmatch(workflow_id):
            return Freed()
        paths = [self._path(workflow_id, *place) for place in self.attempts(workflow_id)]
        act = _size_before if dry_run else _removed
        try:
            # Nobody may begin a log meanwhile, or make its folder.
            with self._mutex:
                freed = sum((act(path, before) for path in paths), Freed())
                if not dry_run:
                    self._remove_if_empty(self._folder(workflow_id))
        except OSError as error:
            raise disk_error(error, "the logs cannot be removed", retryable=True) from error
        return freed

    def _remove_if_empty(self, folder: str) -> None:
        if not self._names(folder):
            with suppress(FileNotFoundError):
                os.rmdir(folder)

    def _names(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise disk_error(error, "the logs cannot be listed", retryable=True) from error

    def _folder(self, workflow_id: str) -> str:
        # Ids that are made in order differ at their ends.
        return os.path.join(self._root, workflow_id[-2:], workflow_id)

    def _path(self, workflow_id: str, step: int, attempt: int) -> str:
        return os.path.join(self._folder(workflow_id), f"{step:d}-{attempt:d}.jsonl")


class FolderLogWriter:
    """Writes the log of one attempt.

    Args:
        path: Its file; made when the first line arrives.
        logs: Who makes it.
    """

    def __init__(self, path: str, logs: FolderLogs) -> None:
        self._path = path
        self._logs = logs
        self._mutex = threading.Lock()
        self._descriptor: int | None = None
        self._folders: list[str] = []
        self._size = 0
        self._is_closed = False

    def add(self, lines: Sequence[LogLine]) -> None:
        """Append lines; readers see them when this returns.

        Raises:
            PlatformError: There is no place for them, none was kept, and it is retryable; or
                the log is closed.
        """
        with self._mutex:
            if self._is_closed:
                raise PlatformError("the log of an attempt that has ended takes no more lines")
            if lines:
                self._append("".join(map(_encoded, lines)).encode())

    def close(self) -> None:
        """Complete the log, and return when it is on the disk. Again, this does nothing.

        Raises:
            PlatformError: It may not be on the disk.
        """
        with self._mutex:
            self._is_closed = True
            if self._descriptor is None:
                return
            try:
                self._append(_END)
                if self._folders:
                    os.fsync(self._descriptor)
                # They are gone if the workflow's logs were deleted meanwhile.
                with suppress(FileNotFoundError):
                    sync_folders(self._folders)
            except OSError as error:
                raise disk_error(error, _KEPT, retryable=True) from error
            finally:
                os.close(self._descriptor)
                self._descriptor = None

    def _append(self, content: bytes) -> None:
        try:
            if self._descriptor is None:
                self._descriptor, self._folders = self._logs.open_for(self, self._path)
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self._cut()
            raise disk_error(error, _KEPT, retryable=True) from error
        self._size += len(content)

    def _cut(self) -> None:
        """Remove what was written of lines that did not fit."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)


def _size_before(path: str, before: float) -> Freed:
    """Return the size of a log, nothing for one that was written to since a time."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return Freed()
    return Freed(1, status.st_size) if status.st_mtime < before else Freed()


def _removed(path: str, before: float) -> Freed:
    freed = _size_before(path, before)
    if freed.count:
        os.unlink(path)
    return freed


def _page(file: BufferedReader, after: int, limit: int) -> LogPage:
    lines: list[LogLine] = []
    start = offset = _start(file, after)
    while len(lines) < limit and offset - start < PAGE_BYTES:
        text = file.readline()
        if text == _END:
            return LogPage(tuple(lines), offset, True)
        if not text.endswith(b"\n"):
            # The end, or a line that is being written, or never was completed.
            break
        offset += len(text)
        lines += _decoded(text)
    return LogPage(tuple(lines), offset, False)


def _start(file: BufferedReader, after: int) -> int:
    """Go to where a part begins; to the start if the log was begun anew since."""
    if after > 0:
        file.seek(after - 1)
        if file.read(1) == b"\n":
            return after
    return file.seek(0)


def _encoded(line: LogLine) -> str:
    content: dict[str, Any] = {"at": line.at, "stream": line.stream, "text": line.text}
    if not line.ended:
        content["ended"] = False
    return json.dumps(content) + "\n"


def _decoded(text: bytes) -> Iterator[LogLine]:
    """Yield the entry of a line, or nothing where the disk has lost it."""
    try:
        entry = json.loads(text)
        yield LogLine(entry["at"], entry["stream"], entry["text"], entry.get("ended", True))
    except (ValueError, KeyError, TypeError, AttributeError):
        return

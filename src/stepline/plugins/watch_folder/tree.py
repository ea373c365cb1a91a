"""The watched folder and all folders in it: which are watched, and what is in them."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator

from stepline.plugins.watch_folder.faults import Faults
from stepline.plugins.watch_folder.inotify import Inotify
from stepline.plugins.watch_folder.looks import is_left_alone

_ROOT = "root"
_WATCHES = "watches"


class Tree:
    """Folders by the number of their watch; safe to use from several threads.

    Args:
        root: Absolute path of the watched folder.
        inotify: Where folders are added; None if the system gives no events.
        faults: Takes what is wrong.
    """

    def __init__(self, root: str, inotify: Inotify | None, *, faults: Faults) -> None:
        self.root = root
        self._inotify = inotify
        self._faults = faults
        self._lock = threading.Lock()
        self._folders: dict[int, str] = {}
        self._watches: dict[str, int] = {}
        self._rounds: dict[str, int] = {}
        self._round = 0
        self._root_id: tuple[int, int] | None = None
        self._unmounted = False
        self._beneath: int | None = None

    def path_of(self, relative: str) -> str:
        """Return the absolute path of something in the folder."""
        return f"{self.root}/{relative}" if relative else self.root

    def folder_of(self, watch: int) -> str | None:
        """Return the folder that a watch is about, empty for the root; None if none is."""
        with self._lock:
            return self._folders.get(watch)

    def attach(self) -> tuple[int, int] | None:
        """Watch the root, be it there again or another one in its place.

        Returns:
            What tells this root from another; None if it cannot be watched.
        """
        try:
            status = os.stat(self.root)
            if not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if not os.access(self.root, os.R_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            identity = (status.st_dev, status.st_ino)
            if identity != self._root_id:
                self.forget("")
            self._watch("")
        except OSError as error:
            self.forget("")
            self._root_id = None
            self._faults.put(_ROOT, f"{self.root} cannot be watched: {error.strerror}")
            return None
        self._root_id = identity
        self._faults.put(_ROOT, self._mount_fault(status.st_dev))
        return identity

    @property
    def is_unmounted(self) -> bool:
        """Whether the folder beneath the one that was mounted is watched."""
        return self._beneath is not None

    def note_unmounted(self) -> None:
        """The file system of the root was unmounted."""
        self._unmounted = True

    def _mount_fault(self, device: int) -> str:
        """Tell that the folder beneath the one that was mounted is watched, while it is."""
        if self._unmounted:
            self._unmounted, self._beneath = False, device
        if self._beneath != device:
            self._beneath = None
            return ""
        return f"{self.root} is no longer mounted: the folder beneath it is watched"

    def begin(self) -> None:
        """A walk through everything begins."""
        with self._lock:
            self._round += 1
        self._faults.put(_WATCHES, "")

    def end(self) -> None:
        """It has come to its end: folders that it did not meet are gone."""
        with self._lock:
            gone = [path for path, seen in self._rounds.items() if seen < self._round]
            for path in gone:
                self._drop(self._watches[path])

    def walk(self, start: str) -> Iterator[str]:
        """Watch a folder and all in it, and go through their files.

        Each folder is watched before it is listed, so that what the list misses comes
        as an event.

        Args:
            start: The folder, relative to the root.

        Yields:
            Relative paths of what is not a folder; hidden and partial names are left out.
        """
        folders = [start]
        while folders:
            folder = folders.pop()
            try:
                self._watch(folder)
                with os.scandir(self.path_of(folder)) as entries:
                    yield from self._files(folder, entries, folders=folders)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                self._faults.put_path(
                    self.path_of(folder), f"cannot be looked through: {error.strerror}"
                )

    def _files(
        self, folder: str, entries: Iterator[os.DirEntry[str]], *, folders: list[str]
    ) -> Iterator[str]:
        for entry in entries:
            if is_left_alone(entry.name):
                continue
            relative = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(relative)
            else:
                yield relative

    def is_in_place(self, watch: int) -> bool:
        """Return whether a watched folder still is where it was."""
        folder = self.folder_of(watch)
        if folder is None or self._inotify is None:
            return False
        try:
            return self._watch(folder) == watch
        except OSError:
            return False

    def forget(self, folder: str) -> None:
        """Watch a folder, and all in it, no more."""
        prefix = f"{folder}/" if folder else ""
        with self._lock:
            inside = [path for path in self._watches if path == folder or path.startswith(prefix)]
            for path in inside:
                self._drop(self._watches[path])

    def drop(self, watch: int) -> None:
        """A watch has ended."""
        with self._lock:
            self._drop(watch)

    def _watch(self, folder: str) -> int | None:
        """Watch a folder; None if the system allows no further one."""
        if self._inotify is None:
            return None
        # Under the lock: a number that is returned must not be dropped before it is kept.
        with self._lock:
            try:
                watch = self._inotify.add(self.path_of(folder), follow=not folder)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                self._faults.put(
                    _WATCHES,
                    f"{self.root} has more folders than the system lets us watch"
                    " (fs.inotify.max_user_watches): files in some are found late",
                )
                return None
            self._keep(watch, folder)
            return watch

    def _keep(self, watch: int, folder: str) -> None:
        if self._folders.get(watch, folder) != folder:
            self._drop_path(watch)
        if self._watches.get(folder, watch) != watch:
            self._drop(self._watches[folder])
        self._folders[watch] = folder
        self._watches[folder] = watch
        self._rounds[folder] = self._round

    def _drop(self, watch: int) -> None:
        if self._inotify is not None and watch in self._folders:
            self._inotify.remove(watch)
        self._drop_path(watch)

    def _drop_path(self, watch: int) -> None:
        folder = self._folders.pop(watch, None)
        if folder is not None:
            del self._watches[folder]
            del self._rounds[folder]

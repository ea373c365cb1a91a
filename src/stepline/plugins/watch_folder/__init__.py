"""Folders that the kernel reports about (inotify), looked through again now and then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stepline.ports.hookspecs import hookimpl

if TYPE_CHECKING:
    from stepline.ports.watcher import FolderWatcher, Found


@hookimpl
def stepline_folder_watcher(name: str, folder: Path, found: Found) -> FolderWatcher | None:
    """Provide the watcher of a folder of this machine."""
    if name != "folder":
        return None
    from stepline.plugins.watch_folder.watcher import FolderWatch

    return FolderWatch(folder, found)

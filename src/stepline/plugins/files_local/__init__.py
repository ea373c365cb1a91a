"""Files in folders of this machine: stores, uploads, logs, lakes, results and schemas.

What one run on one machine needs, and what a service keeps besides its database. Files
that the user of a run names stay where they are and are neither copied nor read before
somebody reads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stepline.ports.hookspecs import hookimpl

if TYPE_CHECKING:
    from stepline.ports.durable_files import DurableFileStore
    from stepline.ports.lake import LocalLake
    from stepline.ports.logs import LogStore
    from stepline.ports.schemas import SchemaSource


@hookimpl
def stepline_local_lake(name: str, folder: Path) -> LocalLake | None:
    """Provide the files of one local run."""
    if name != "local":
        return None
    from stepline.plugins.files_local.run_lake import RunLake

    return RunLake(folder)


@hookimpl
def stepline_file_store(name: str, folder: Path) -> DurableFileStore | None:
    """Provide the bytes that a service keeps."""
    if name != "local":
        return None
    from stepline.plugins.files_local.store import FolderStore

    return FolderStore(str(folder), durable=True)


@hookimpl
def stepline_log_store(name: str, folder: Path) -> LogStore | None:
    """Provide the logs that a service keeps."""
    if name != "local":
        return None
    from stepline.plugins.files_local.logs import FolderLogs

    return FolderLogs(str(folder))


@hookimpl
def stepline_schema_source(name: str, folder: Path) -> SchemaSource | None:
    """Provide the schemas of a folder."""
    if name != "local":
        return None
    from stepline.plugins.files_local.schemas import FolderSchemas

    return FolderSchemas(str(folder))

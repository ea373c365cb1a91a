"""Files in folders of this machine: catalog, store, lake, results and schemas.

What one run on one machine needs. Files that the user names stay where they are and
are neither copied nor read before somebody reads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stepline.ports.hookspecs import hookimpl

if TYPE_CHECKING:
    from stepline.ports.lake import LocalLake
    from stepline.ports.schemas import SchemaSource


@hookimpl
def stepline_local_lake(name: str, folder: Path) -> LocalLake | None:
    """Provide the files of one local run."""
    if name != "local":
        return None
    from stepline.plugins.files_local.run_lake import RunLake

    return RunLake(folder)


@hookimpl
def stepline_schema_source(name: str, folder: Path) -> SchemaSource | None:
    """Provide the schemas of a folder."""
    if name != "local":
        return None
    from stepline.plugins.files_local.schemas import FolderSchemas

    return FolderSchemas(str(folder))

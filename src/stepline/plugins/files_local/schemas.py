"""IDS and schema artifacts in a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from stepline.errors import ConfigError, Location, SettingsError
from stepline.model.task_script import IdsReference
from stepline.plugins.files_local.json_file import read_json
from stepline.ports.schemas import SchemaKind


class FolderSchemas:
    """Finds ``<kind>/<namespace>/<slug>/<version>/schema.json`` in a folder.

    ``<kind>`` is ``ids`` or ``schemas``; a folder of one kind only may leave it out.

    Args:
        folder: The folder.

    Raises:
        SettingsError: There is no such folder.
    """

    def __init__(self, folder: str) -> None:
        if not os.path.isdir(folder):
            raise SettingsError(f"there is no folder '{folder}' with IDS")
        self._folder = folder
        self._read: dict[tuple[str, str], Mapping[str, Any]] = {}

    def schema(self, kind: SchemaKind, reference: IdsReference) -> Mapping[str, Any] | None:
        """Return a schema, or None where there is no such artifact.

        Raises:
            ConfigError: The artifact's file is not a JSON object.
        """
        inner = os.path.join(reference.namespace, reference.slug, reference.version, "schema.json")
        for path in (os.path.join(kind, inner), inner):
            full = os.path.join(self._folder, path)
            if os.path.isfile(full):
                known = self._read.get((kind, inner))
                return known or self._read.setdefault((kind, inner), _load(full))
        return None


def _load(path: str) -> Mapping[str, Any]:
    try:
        schema = read_json(path, error_class=ConfigError)
    except FileNotFoundError as error:
        raise ConfigError(f"cannot be read: {error}", where=Location(path)) from error
    if not isinstance(schema, dict):
        raise ConfigError("a schema is a JSON object", where=Location(path))
    return schema

"""Schema artifacts: IDS, and schemas of other kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from stepline.model.task_script import IdsReference

SchemaKind = Literal["ids", "schemas"]


class SchemaSource(Protocol):
    """Holds the ``schema.json`` of published artifacts."""

    def schema(self, kind: SchemaKind, reference: IdsReference) -> Mapping[str, Any] | None:
        """Return a schema, or None where there is no such artifact.

        Raises:
            UserError: The artifact's file is not a JSON object.
        """

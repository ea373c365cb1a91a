"""IDS and other schemas."""

from __future__ import annotations

import json

from stepline_sdk.context import scratch
from stepline_sdk.context.base import ContextBase
from stepline_sdk.errors import IDSValidateWrongParams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class SchemasMixin(ContextBase):
    """The part of a Context that reads schemas and validates data."""

    def get_ids(self, namespace: str, slug: str, version: str) -> dict[str, Any]:
        """Return the ``schema.json`` of an IDS.

        Raises:
            FileNotFoundError: There is no such IDS.
        """
        return self._schema("get_ids", (namespace, slug, version))

    def get_schema_artifact(self, namespace: str, slug: str, version: str) -> dict[str, Any]:
        """Return the ``schema.json`` of a schema artifact.

        Raises:
            FileNotFoundError: There is no such artifact.
        """
        return self._schema("get_schema_artifact", (namespace, slug, version))

    def validate_ids(
        self,
        data: Any,
        namespace: str | None = None,
        slug: str | None = None,
        version: str | None = None,
        ignore_allowed_ids: bool = False,
    ) -> None:
        """Check data against an IDS, and that its datacubes' shapes agree.

        Args:
            data: The data.
            namespace: With ``slug`` and ``version`` the IDS; without all three the only
                one that config.json allows.
            slug: See ``namespace``.
            version: See ``namespace``.
            ignore_allowed_ids: Whether an IDS may be used that config.json does not allow.

        Raises:
            IDSValidateWrongParams: One or two of the three are given, or none where
                config.json allows none or several.
            IDSNotAllowed, IDSInvalidWrite: config.json does not allow the IDS.
            IDSInvalidData: The data do not follow it.
        """
        parts = (namespace, slug, version)
        if any(parts) and not all(parts):
            raise IDSValidateWrongParams(
                "namespace, slug and version belong together: all or none, not %r, %r, %r" % parts
            )
        params = {"namespace": namespace, "slug": slug, "version": version}
        name = scratch.store(self._scratch_dir, [json.dumps(data)])
        params_with_data: dict[str, Any] = dict(params, scratch=name)
        params_with_data["ignoreAllowedIds"] = bool(ignore_allowed_ids)
        try:
            self._call("validate_ids", params_with_data)
        finally:
            scratch.remove(self._scratch_dir, name)

    def _schema(self, method: str, parts: tuple[str, str, str]) -> dict[str, Any]:
        namespace, slug, version = parts
        params = {"namespace": namespace, "slug": slug, "version": version}
        schema: dict[str, Any] = self._call(method, params)
        return schema

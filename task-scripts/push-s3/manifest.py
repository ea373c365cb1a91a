"""The manifest of a prefix: which versions are published, newest first."""

import json
from typing import Any

SCHEMA = "stepline.push-manifest/1"


class Manifest:
    """What is published below a prefix.

    Args:
        versions: Of each number, folder, key and content of its mark, files and so on; newest
            first.
        etag: The store's tag of the manifest that was read; None where there is none.
    """

    def __init__(self, versions: list[dict[str, Any]], etag: str | None) -> None:
        self.versions = versions
        self.etag = etag

    @classmethod
    def parse(cls, data: bytes, etag: str) -> "Manifest":
        """Read a manifest.

        Raises:
            ValueError: It is none.
        """
        document = json.loads(data)
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        versions = document.get("versions")
        if not isinstance(versions, list) or not versions or not all(map(_is_whole, versions)):
            raise ValueError("its versions lack something")
        return cls(versions, etag)

    @property
    def newest(self) -> int:
        """Return the number of the newest version; 0 where there is none."""
        return max((version["number"] for version in self.versions), default=0)

    def with_version(self, version: dict[str, Any]) -> bytes:
        """Return the manifest with a version before all others."""
        document = {"schema": SCHEMA, "versions": [version, *self.versions]}
        return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def _is_whole(version: Any) -> bool:
    texts = ("folder", "key", "content")
    return (
        isinstance(version, dict)
        and isinstance(version.get("number"), int)
        and all(isinstance(version.get(name), str) for name in texts)
    )

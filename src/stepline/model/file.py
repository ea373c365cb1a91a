"""Files as Stepline knows them: pointers, categories, labels and records.

Source:
    The platform's published Context interface, as summed up in docs/reference/context.md.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from enum import Enum
from typing import Any

from stepline.frozen import frozen
from stepline.model.values import Json


class FileCategory(str, Enum):
    """What a file is; task scripts may write all but RAW."""

    RAW = "RAW"
    IDS = "IDS"
    PROCESSED = "PROCESSED"
    TMP = "TMP"


@frozen
class Label:
    """A searchable name and value on a file; changed without a new version.

    Attributes:
        id: Number that names the label within its file.
    """

    name: str
    value: str
    id: int = 0

    def to_plain(self) -> dict[str, Json]:
        """Return ``{id, name, value}``."""
        return {"id": self.id, "name": self.name, "value": self.value}


def numbered_labels(pairs: Iterable[tuple[str, str]], numbers: Iterable[int]) -> tuple[Label, ...]:
    """Return a label for each pair of name and value, with as many numbers of their own."""
    return tuple(
        Label(name, value, id=number) for (name, value), number in zip(pairs, numbers, strict=True)
    )


@frozen
class FilePointer:
    """A reference to one version of one file, never its bytes."""

    bucket: str
    key: str
    file_id: str
    version: str

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> FilePointer:
        """Return the pointer whose plain form this is."""
        return cls(plain["bucket"], plain["fileKey"], plain["fileId"], plain["version"])

    def to_plain(self) -> dict[str, Json]:
        """Return the form that task scripts see."""
        return {
            "type": "s3file",
            "bucket": self.bucket,
            "fileKey": self.key,
            "fileId": self.file_id,
            "version": self.version,
        }


@frozen
class FileRecord:
    """What is known about one file version.

    Attributes:
        pointer: The version that this record describes.
        category: The file's category.
        size: Bytes.
        sha256: Hex digest of the bytes; empty where nobody needed it yet.
        created_at: ISO 8601, UTC.
        source: ``id``, ``type`` and ``name`` of what the file came from.
        metadata: Custom metadata by key.
        tags: Custom tags, sorted.
        labels: In the order in which they were added.
        ids: ``namespace/slug:version`` of the IDS that an IDS file follows.
        source_file_id: File that the task which wrote this one was started for.
        trace_id: File id of the first file in the chain.
        provenance: Workflow, pipeline, task and step that wrote the file.
        blob: Name of the bytes in the file store; not shown to anybody.
    """

    pointer: FilePointer
    category: FileCategory
    size: int = 0
    sha256: str = ""
    created_at: str = ""
    source: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()
    ids: str = ""
    source_file_id: str = ""
    trace_id: str = ""
    provenance: Mapping[str, Json] = field(default_factory=dict)
    blob: str = ""

    @property
    def name(self) -> str:
        """Last part of the file's key."""
        return posixpath.basename(self.pointer.key)

    @property
    def history(self) -> tuple[str, ...]:
        """Ids of the pipelines that led to the file, oldest first."""
        pipelines = self.provenance.get("pipelineHistory")
        return tuple(map(str, pipelines)) if isinstance(pipelines, list) else ()

    def with_labels(self, labels: tuple[Label, ...]) -> FileRecord:
        """Return the same version with other labels."""
        return replace(self, labels=labels)

    def to_plain(self) -> dict[str, Any]:
        """Return the form of ``files.json``."""
        return {
            "file": self.pointer.to_plain(),
            "category": self.category.value,
            "size": self.size,
            "sha256": self.sha256,
            "createdAt": self.created_at,
            "source": dict(self.source),
            "metadata": dict(self.metadata),
            "tags": list(self.tags),
            "labels": [label.to_plain() for label in self.labels],
            "ids": self.ids,
            "sourceFileId": self.source_file_id,
            "traceId": self.trace_id,
            "provenance": dict(self.provenance),
        }

"""File records as rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stepline.model.file import FileCategory, FilePointer, FileRecord, Label
from stepline.plugins.state_sql.plain import dump, load
from stepline.plugins.state_sql.tables import files

COLUMNS = tuple(
    files.c[name] for name in ("number", "file_id", "key", "version", "labels", "record", "blob")
)
"""What `record_of` needs, and the version's number."""


def row_of(record: FileRecord) -> dict[str, Any]:
    """Return the columns of a file version."""
    pointer = record.pointer
    workflow_id = record.provenance.get("workflowId")
    rest = {
        "bucket": pointer.bucket,
        "category": record.category.value,
        "size": record.size,
        "sha256": record.sha256,
        "created_at": record.created_at,
        "source": dict(record.source),
        "metadata": dict(record.metadata),
        "tags": record.tags,
        "ids": record.ids,
        "source_file_id": record.source_file_id,
        "trace_id": record.trace_id,
        "provenance": dict(record.provenance),
    }
    return {
        "file_id": pointer.file_id,
        "key": pointer.key,
        "version": pointer.version,
        "deleted": 0,
        "workflow_id": workflow_id if isinstance(workflow_id, str) else "",
        "labels": labels_text(record.labels),
        "record": dump(rest),
        "blob": record.blob,
    }


def labels_text(labels: Iterable[Label]) -> str:
    """Return the column of a file's labels."""
    return dump([[label.name, label.value, label.id] for label in labels])


def record_of(row: Any) -> FileRecord:
    """Return the file version of a row with `COLUMNS`."""
    rest = load(row.record)
    rest.pop("blob", None)  # in rows of before it had a column
    return FileRecord(
        pointer=FilePointer(rest.pop("bucket"), row.key, row.file_id, row.version),
        category=FileCategory(rest.pop("category")),
        tags=tuple(rest.pop("tags")),
        labels=tuple(Label(*label) for label in load(row.labels)),
        blob=row.blob,
        **rest,
    )

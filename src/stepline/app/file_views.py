"""File records in the shapes that task scripts know."""

from __future__ import annotations

from collections.abc import Mapping

from stepline.model.file import FileCategory, FileRecord
from stepline.model.values import Json

INTEGRATION_TYPE = "datapipeline"


def input_file_value(record: FileRecord) -> dict[str, Json]:
    """Return a record as ``inputFile`` of a task's context: a pointer with ``meta``."""
    source: dict[str, Json] = dict(record.source)
    meta: dict[str, Json] = {
        "fileId": record.pointer.file_id,
        "traceId": record.trace_id or record.pointer.file_id,
        "sourceId": record.source.get("id", ""),
        "sourceName": record.source.get("name", ""),
        "sourceType": record.source.get("type", ""),
        "source": source,
        "pipelineHistory": ",".join(record.history),
    }
    return {
        **record.pointer.to_plain(),
        "customTags": list(record.tags),
        "customMetadata": dict(record.metadata),
        "meta": meta,
    }


def file_info(record: FileRecord) -> dict[str, Json]:
    """Return a record as `get_file_info` does."""
    pointer = record.pointer
    org, _, _, path = ([*pointer.key.split("/", 3), "", "", ""])[:4]
    return {
        "fileId": pointer.file_id,
        "orgSlug": org,
        "traceId": record.trace_id or pointer.file_id,
        "rawFileId": record.source_file_id or None,
        "category": record.category.value,
        "ids": record.ids or None,
        "filePath": path,
        "createdAt": record.created_at,
        "size": record.size,
        "file": {
            "bucket": pointer.bucket,
            "path": pointer.key,
            "version": pointer.version,
            "tsEncodedPath": _quoted(pointer.key),
            "s3ContentType": "application/octet-stream",
            "s3ContentEncoding": None,
        },
        "source": {name: record.source.get(name) for name in ("id", "type", "name")},
        "integration": {
            "id": _text(record.provenance, "pipelineId"),
            "name": _text(record.provenance, "pipelineName"),
            "type": INTEGRATION_TYPE if record.provenance else "",
        },
        "metadata": dict(record.metadata),
        "tags": list(record.tags),
        "labels": [label.to_plain() for label in record.labels],
    }


def object_metadata(record: FileRecord) -> dict[str, str]:
    """Return a record as the object metadata of a stored file, all values text.

    Source:
        Metadata keys of the published runtime.
    """
    origin = record.provenance
    written = {
        "ts_version": "2",
        "ts_integration_type": INTEGRATION_TYPE if origin else "",
        "ts_file_id": record.pointer.file_id,
        "ts_source_file_id": record.source_file_id,
        "ts_trace_id": record.trace_id or record.pointer.file_id,
        "ts_integration_metadata": "&".join(f"{k}={v}" for k, v in record.metadata.items()),
        "ts_integration_tags": ",".join(record.tags),
        "ts_integration_source": record.source.get("id", ""),
        "ts_destination_id": _text(origin, "destinationId"),
        "ts_source_name": record.source.get("name", ""),
        "ts_source_type": record.source.get("type", "") or "unknown",
        "ts_integration_id": _text(origin, "pipelineId"),
        "ts_integration_name": _text(origin, "pipelineName")[:254],
        "ts_pipeline_id": _text(origin, "pipelineId"),
        "ts_workflow_id": _text(origin, "workflowId"),
        "ts_task_execution_id": _text(origin, "taskId"),
        "ts_task_slug": _text(origin, "taskSlug"),
        "ts_master_script": _text(origin, "masterScript"),
        "ts_task_script": _text(origin, "taskScript"),
        "ts_pipeline_history": ",".join(record.history),
    }
    return {**written, **_ids_metadata(record), **_update_metadata(origin)}


def _ids_metadata(record: FileRecord) -> dict[str, str]:
    if not record.ids or record.category not in (FileCategory.IDS, FileCategory.TMP):
        return {}
    name, _, version = record.ids.partition(":")
    return {
        "ts_ids": record.ids,
        "ts_ids_type": name.partition("/")[2],
        "ts_ids_type_version": version,
    }


def _update_metadata(origin: Mapping[str, Json]) -> dict[str, str]:
    created_from = _text(origin, "contentCreatedFromFileId")
    if not created_from:
        return {}
    return {
        "ts_content_created_from_file_id": created_from,
        "ts_do_not_inherit_labels": "true",
    }


def _text(values: Mapping[str, Json], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""


def _quoted(key: str) -> str:
    from urllib.parse import quote

    return quote(key)

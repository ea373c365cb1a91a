"""Calls of a Context that change metadata, tags and labels of files that exist."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stepline.app.attempt_scope import AttemptScope
from stepline.app.call_errors import CallRefused, refuse_if
from stepline.app.context_writing import (
    checked_labels,
    checked_metadata,
    checked_tags,
    provenance,
)
from stepline.model import file_rules
from stepline.model.file import FileRecord, Label
from stepline.model.values import Json

_FILE_ID = re.compile(r"[0-9a-zA-Z-]{1,64}")


def update_metadata_tags(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Make a version with other metadata and tags; it keeps the labels."""
    record = scope.file(params.get("file"))
    return _new_version(scope, record, params, labels=record.labels)


def add_attributes(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Make a version with other metadata and tags, and the given labels where there are any."""
    record = scope.file(params.get("file"))
    pairs = checked_labels(params.get("labels"))
    labels = scope.files.new_labels(pairs) if pairs else record.labels
    return _new_version(scope, record, params, labels=labels)


def add_labels(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Add labels to a file version."""
    record = scope.file(params.get("file"))
    pairs = checked_labels(params.get("labels"))
    silent = params.get("noPropagate") is True
    return _plain_labels(scope.files.add_labels(record.pointer.file_id, pairs, silent=silent))


def get_labels(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Return the labels of a file version."""
    record = scope.file(params.get("file"))
    scope.reads.add("labels", fileId=record.pointer.file_id)
    return _plain_labels(record)


def delete_labels(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Remove labels from a file version."""
    record, numbers = scope.file(params.get("file")), params.get("labelIds")
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise CallRefused("TypeError", f"label ids are integers, not {numbers!r}")
    silent = params.get("noPropagate") is True
    return _plain_labels(
        scope.files.remove_labels(record.pointer.file_id, tuple(numbers), silent=silent)
    )


def _new_version(
    scope: AttemptScope,
    record: FileRecord,
    params: Mapping[str, Any],
    *,
    labels: tuple[Label, ...],
) -> Json:
    changed = checked_metadata(params.get("customMetadata"))
    metadata = {k: v for k, v in {**record.metadata, **changed}.items() if v is not None}
    tags = tuple(sorted({*record.tags, *checked_tags(params.get("customTags"))}))
    refuse_if(file_rules.attributes_problem(metadata, tags))
    # The newest content, even where the pointer names an older version.
    content = scope.files.latest(record.pointer.key) or record
    file_id = _new_file_id(scope, params.get("newFileId"))
    version = replace(
        content,
        pointer=replace(record.pointer, file_id=file_id, version=scope.new_id()),
        created_at=scope.now(),
        source=record.source,
        metadata=metadata,
        tags=tags,
        labels=labels,
        source_file_id=record.source_file_id,
        trace_id=record.trace_id or record.pointer.file_id,
        provenance={
            **provenance(scope, record),
            "contentCreatedFromFileId": record.pointer.file_id,
        },
    )
    scope.files.write(version)
    return version.pointer.to_plain()


def _new_file_id(scope: AttemptScope, given: Any) -> str:
    if given is None:
        return scope.new_id()
    if not isinstance(given, str) or not _FILE_ID.fullmatch(given):
        raise CallRefused("ValueError", f"new_file_id {given!r} is not a usable file id")
    if scope.files.get(given) is not None:
        raise CallRefused("ValueError", f"new_file_id {given!r} belongs to a file already")
    return given


def _plain_labels(record: FileRecord | None) -> Json:
    return [label.to_plain() for label in record.labels] if record else []

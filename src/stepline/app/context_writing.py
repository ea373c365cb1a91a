"""Calls of a Context that write files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from stepline.app.attempt_scope import AttemptScope
from stepline.app.call_errors import CallRefused, refuse_if
from stepline.app.context_schemas import clean_data, ids_to_write, parsed_ids
from stepline.errors import UploadError
from stepline.frozen import frozen
from stepline.model import file_rules
from stepline.model.file import FileCategory, FilePointer, FileRecord
from stepline.model.values import Json
from stepline.ports.files import Blob, FileConflict

WRITABLE = (FileCategory.IDS, FileCategory.PROCESSED, FileCategory.TMP)
CONDITIONAL_BYTES = 5 * 1024**3


@frozen(kw_only=True)
class Draft:
    """A file version about to be written: what depends on the call.

    Attributes:
        key: The file's key.
        bucket: The file's bucket.
        source: ``id``, ``type`` and ``name``.
        metadata: All metadata, inherited ones included.
        tags: All tags, inherited ones included.
        origin: The file that it belongs to, or None.
    """

    key: str
    bucket: str
    source: Mapping[str, str]
    metadata: Mapping[str, str]
    tags: tuple[str, ...]
    origin: FileRecord | None = field(default=None)


def write_file(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Write a file that belongs to the input file."""
    category = _category(params)
    ids = ids_to_write(scope, category=category, ids=params.get("ids"))
    return _write(scope, params, category=category, ids=ids, name=params.get("fileName"))


def write_ids(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Write IDS data under a name that begins with the IDS."""
    category = _category(params)
    ids = ids_to_write(scope, category=category, ids=params.get("ids"))
    if ids is None:
        raise CallRefused("ValueError", "write_ids needs ids: namespace/slug:version")
    reference = parsed_ids(ids)
    name = f"{reference.namespace}-{reference.slug}-{params.get('fileSuffix')}"
    return _write(scope, params, category=category, ids=ids, name=name)


def write_detached_file(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Write a file that belongs to no input file."""
    category = _category(params)
    ids = ids_to_write(scope, category=category, ids=params.get("ids"))
    if not scope.bucket:
        raise CallRefused("OSError", "there is no bucket for files without an input file")
    name = _file_name(params.get("fileName"))
    source = _detached_source(scope, params)
    draft = Draft(
        key="/".join((scope.value("orgSlug"), source["id"], category.value, name)),
        bucket=scope.bucket,
        source=source,
        metadata=_merged_metadata({}, params.get("customMetadata")),
        tags=_merged_tags((), params.get("customTags")),
    )
    return _store(scope, params, category=category, ids=ids, draft=draft)


def _write(
    scope: AttemptScope,
    params: Mapping[str, Any],
    *,
    category: FileCategory,
    ids: str | None,
    name: Any,
) -> Json:
    origin = scope.input_file()
    file_name = _file_name(name)
    org, source_id, path = _key_parts(origin.pointer.key)
    if scope.value("orgSlug") not in ("", org):
        message = f"the input file's key is outside of organisation {scope.value('orgSlug')!r}"
        raise CallRefused("InvalidPathException", message)
    inherited = {"id": source_id, "type": "unknown", "name": ""}
    inherited.update({part: text for part, text in origin.source.items() if text})
    draft = Draft(
        key="/".join((org, source_id, category.value, path, file_name)),
        bucket=origin.pointer.bucket,
        source={**inherited, **_source_type(params)},
        metadata=_merged_metadata(origin.metadata, params.get("customMetadata")),
        tags=_merged_tags(origin.tags, params.get("customTags")),
        origin=origin,
    )
    return _store(scope, params, category=category, ids=ids, draft=draft)


def _store(
    scope: AttemptScope,
    params: Mapping[str, Any],
    *,
    category: FileCategory,
    ids: str | None,
    draft: Draft,
) -> Json:
    """Check what is left to check, take the bytes in, and stage the file version."""
    if problem := file_rules.key_problem(draft.key):
        raise CallRefused("InvalidPathException", f"key {draft.key!r}: {problem}")
    refuse_if(file_rules.attributes_problem(draft.metadata, draft.tags))
    labels = checked_labels(params.get("labels"))
    path = scope.scratch_path(params.get("scratch"))
    _check_size(scope, path, conditional=_is_conditional(params))
    _require(scope, params, draft.key)
    if params.get("isData"):
        if category is not FileCategory.IDS or ids is None:
            raise CallRefused(
                "ValueError", f"a dict can be written as IDS only, not as {category.value}"
            )
        clean_data(scope, path, ids=ids)
    record = _record(scope, draft, category=category, ids=ids, blob=_take(scope, path))
    scope.files.write(record.with_labels(scope.files.new_labels(labels)))
    return record.pointer.to_plain()


def _record(
    scope: AttemptScope, draft: Draft, *, category: FileCategory, ids: str | None, blob: Blob
) -> FileRecord:
    file_id, origin = scope.new_id(), draft.origin
    origin_id = origin.pointer.file_id if origin else ""
    return FileRecord(
        pointer=FilePointer(draft.bucket, draft.key, file_id=file_id, version=scope.new_id()),
        category=category,
        size=blob.size,
        sha256=blob.sha256,
        created_at=scope.now(),
        source=draft.source,
        metadata=draft.metadata,
        tags=draft.tags,
        ids=ids or "" if category in (FileCategory.IDS, FileCategory.TMP) else "",
        source_file_id=origin_id,
        trace_id=(origin.trace_id if origin else "") or origin_id or file_id,
        provenance=provenance(scope, origin),
        blob=blob.name,
    )


def provenance(scope: AttemptScope, origin: FileRecord | None) -> dict[str, Json]:
    """Return what wrote a file: workflow, pipeline, task, step and scripts.

    Args:
        scope: The attempt that writes it.
        origin: The file whose pipeline history goes on in the new one.
    """
    config, pipeline = scope.values.get("pipelineConfig"), scope.value("pipelineId")
    pipelines = list(origin.history) if origin else []
    if pipeline and pipeline not in pipelines:
        pipelines.append(pipeline)
    protocol = [scope.value(f"masterScript{part}") for part in ("Namespace", "Slug", "Version")]
    name = config.get("pipelineName") if isinstance(config, dict) else ""
    return {
        "pipelineId": pipeline,
        "pipelineName": name if isinstance(name, str) else "",
        "pipelineHistory": list(pipelines),
        "workflowId": scope.value("workflowId"),
        "taskId": scope.value("taskId"),
        "taskSlug": scope.value("taskSlug"),
        "taskScript": scope.value("taskScript"),
        "masterScript": "{}/{}:{}".format(*protocol) if any(protocol) else "",
    }


def checked_metadata(given: Any) -> dict[str, str | None]:
    """Return metadata that keep the rules; None marks a key to delete."""
    if not isinstance(given, dict):
        raise CallRefused("TypeError", f"metadata is an object, not {given!r}")
    for key, value in given.items():
        if value is not None and not isinstance(value, str):
            raise CallRefused("TypeError", f"metadata value {value!r} is not text")
        refuse_if(file_rules.metadata_problem(key, "x" if value is None else value))
    return given


def checked_tags(given: Any) -> list[str]:
    """Return tags that keep the rules."""
    if not isinstance(given, list):
        raise CallRefused("TypeError", f"tags are a list, not {given!r}")
    for tag in given:
        if not isinstance(tag, str):
            raise CallRefused("TypeError", f"tag {tag!r} is not text")
        refuse_if(file_rules.tag_problem(tag))
    return given


def checked_labels(given: Any) -> list[tuple[str, str]]:
    """Return labels that keep the rules as names and values; one error names all faults."""
    if not isinstance(given, list):
        raise CallRefused("ValueError", f"labels are a list, not {given!r}")
    refuse_if("\n".join(file_rules.label_problems(given)))
    return [(label["name"], label["value"]) for label in given]


def _category(params: Mapping[str, Any]) -> FileCategory:
    given = params.get("category")
    for category in WRITABLE:
        if given == category.value:
            return category
    names = ", ".join(category.value for category in WRITABLE)
    raise CallRefused(
        "InvalidFileCategoryError", f"a task writes files of category {names}, not {given!r}"
    )


def _file_name(name: Any) -> str:
    if not isinstance(name, str):
        raise CallRefused("TypeError", f"file name {name!r} is not text")
    if problem := file_rules.file_name_problem(name):
        raise CallRefused("InvalidPathException", f"invalid path {name!r}: {problem}")
    return re.sub("/{2,}", "/", name)


def _key_parts(key: str) -> tuple[str, str, str]:
    """Return organisation, source id and path of a file's key."""
    parts = re.sub("/{2,}", "/", key).split("/", 3)
    if len(parts) < 4:
        message = f"the input file's key {key!r} is not <org>/<source>/<category>/<path>"
        raise CallRefused("ValueError", message)
    return parts[0], parts[1], parts[3]


def _source_type(params: Mapping[str, Any]) -> dict[str, str]:
    given = params.get("sourceType")
    if given is None:
        return {}
    if not isinstance(given, str):
        raise CallRefused("TypeError", f"source type {given!r} is not text")
    refuse_if(file_rules.source_type_problem(given))
    return {"type": given}


def _detached_source(scope: AttemptScope, params: Mapping[str, Any]) -> dict[str, str]:
    config = scope.values.get("pipelineConfig")
    pipeline_name = config.get("pipelineName") if isinstance(config, dict) else None
    name, given_id = params.get("sourceName"), params.get("sourceId")
    source_id = scope.value("pipelineId") if given_id is None else given_id
    if not isinstance(source_id, str) or not source_id or "/" in source_id:
        raise CallRefused("ValueError", f"source id {source_id!r} is not usable in a key")
    if problem := file_rules.file_name_problem(source_id):
        raise CallRefused("InvalidPathException", f"source id {source_id!r}: {problem}")
    chosen = pipeline_name if name is None else name
    source_type = _source_type(params).get("type", "unknown")
    return {"id": source_id, "type": source_type, "name": str(chosen or "")}


def _merged_metadata(inherited: Mapping[str, str], given: Any) -> dict[str, str]:
    added = {key: str(value) for key, value in checked_metadata(given).items()}
    for key in added:
        if key in inherited:
            raise CallRefused("ValueError", f"metadata key {key!r} is already specified")
    return {**inherited, **added}


def _merged_tags(inherited: Iterable[str], given: Any) -> tuple[str, ...]:
    merged = list(inherited)
    for tag in checked_tags(given):
        if tag in merged:
            raise CallRefused("ValueError", f"tag {tag!r} is specified multiple times")
        merged.append(tag)
    return tuple(sorted(merged))


def _is_conditional(params: Mapping[str, Any]) -> bool:
    return params.get("ifMatch") is not None or params.get("ifNoneMatch") is not None


def _require(scope: AttemptScope, params: Mapping[str, Any], key: str) -> None:
    """Hold a conditional write to its condition."""
    expected, absent = params.get("ifMatch"), params.get("ifNoneMatch")
    if expected is not None and absent is not None:
        raise CallRefused("ValueError", "if_match and if_none_match exclude each other")
    if absent not in (None, "*"):
        raise CallRefused("ValueError", f'if_none_match can be "*" only, not {absent!r}')
    try:
        if absent is not None:
            scope.files.require(key, None)
        if expected is not None:
            scope.files.require(key, _digest(scope, expected, key))
    except FileConflict as conflict:
        message = f"the condition for writing {key!r} does not hold: {conflict.what}"
        raise CallRefused("ConcurrentModificationError", message) from conflict


def _digest(scope: AttemptScope, expected: Any, key: str) -> str:
    named = expected.get("fileKey") if isinstance(expected, dict) else None
    if named != key:
        raise CallRefused(
            "ValueError", f"if_match names {named!r}, but the file to write is {key!r}"
        )
    record = scope.file(expected)
    return record.sha256 or scope.files.store.digest(record.blob)


def _check_size(scope: AttemptScope, path: str, *, conditional: bool) -> None:
    try:
        size = os.lstat(path).st_size
    except FileNotFoundError:
        raise CallRefused("ValueError", "the content is not in the scratch folder") from None
    except ValueError:
        name = os.path.basename(path)
        raise CallRefused("ValueError", f"{name!r} cannot be the name of a file") from None
    if conditional and size >= CONDITIONAL_BYTES:
        raise CallRefused("NotImplementedError", "5 GB or more cannot be written conditionally")
    limit = scope.output_bytes
    if limit is not None and scope.files.taken_bytes + size > limit:
        raise CallRefused("OSError", f"the task's files together are over {limit} bytes")


def _take(scope: AttemptScope, path: str) -> Blob:
    try:
        return scope.files.take(path)
    except UploadError as error:
        raise CallRefused("ValueError", error.what) from error

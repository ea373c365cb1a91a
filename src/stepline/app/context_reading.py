"""Calls of a Context that read files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from stepline.app.attempt_scope import AttemptScope
from stepline.app.call_errors import CallRefused
from stepline.app.file_views import file_info, object_metadata
from stepline.model.file import FileRecord
from stepline.model.values import Json


def read_file(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Put a file version into the scratch folder and say what is known about it."""
    record = scope.file(params.get("file"))
    scope.reads.add("file", file=record.pointer.to_plain())
    name = f"read-{scope.new_id()}"
    return {
        "scratch": name,
        "owned": _place(scope, record, os.path.join(scope.scratch_dir, name)),
        "fileName": record.name,
        "file": record.pointer.to_plain(),
        "metadata": dict(object_metadata(record)),
        "custom_metadata": dict(record.metadata),
        "custom_tags": list(record.tags),
    }


def get_file_id(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Return the id of the file version that a pointer names."""
    return scope.file(params.get("file")).pointer.file_id


def get_file_info(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Return the record of a file version."""
    record = scope.file_by_id(params.get("fileId"))
    scope.reads.add("info", fileId=record.pointer.file_id)
    return file_info(record)


def get_file_pointer(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Return the pointer to a file version."""
    return scope.file_by_id(params.get("fileId")).pointer.to_plain()


def get_presigned_url(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Return an address of a file version, or a place in the scratch folder to make one of."""
    record, ttl_s = scope.file(params.get("file")), params.get("ttlSec")
    if not isinstance(ttl_s, int | float) or not 0 <= ttl_s <= 900:
        raise CallRefused("ValueError", f"ttlSec must be between 0 and 900, not {ttl_s!r}")
    scope.reads.add("file", file=record.pointer.to_plain())
    url = scope.files.store.presigned_url(record.blob, ttl_s=ttl_s)
    if url is not None:
        return {"url": url, "scratch": None}
    # Named as the file is, in a folder of its own: readers go by the extension.
    folder = f"url-{scope.new_id()}"
    path = os.path.join(scope.scratch_dir, folder)
    os.mkdir(path)
    # The task may put a link in its place at any moment.
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(opened, 0o755)
        _place(scope, record, f"/proc/self/fd/{opened}/{record.name}")
    finally:
        os.close(opened)
    return {"url": None, "scratch": f"{folder}/{record.name}"}


def _place(scope: AttemptScope, record: FileRecord, target: str) -> bool:
    """Put a file into the scratch folder; return whether it is the task's to keep."""
    path = scope.files.bytes.local_path(record.blob)
    if path is not None and scope.link_reads:
        os.symlink(path, target)
        return False
    import shutil

    with scope.files.bytes.open(record.blob) as source, open(target, "xb") as copy:
        shutil.copyfileobj(source, copy, 1024 * 1024)
        os.fchmod(copy.fileno(), 0o644)  # the task may be another user, in a folder of its own
    return True

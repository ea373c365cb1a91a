"""What one attempt may use of the platform, and the record of what it read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from stepline.app.attempt_files import AttemptFiles
from stepline.app.call_errors import CallRefused
from stepline.frozen import frozen
from stepline.model.file import FileRecord
from stepline.model.task_script import IdsReference
from stepline.model.values import Json
from stepline.ports.schemas import SchemaSource
from stepline.ports.secrets import SecretBackend


class ReadLog:
    """What an attempt read through its Context, each thing once, in order.

    Attributes:
        entries: Plain objects, each with a ``kind``: ``file`` (with the pointer), ``info``
            and ``labels`` (with the ``fileId``), ``ids`` and ``schemas`` (with the name),
            ``secret`` (with name and version, never the value), ``search`` (with the query
            and the ids that were found).
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, Json]] = []
        self._known: set[str] = set()

    def add(self, kind: str, **what: Json) -> None:
        """Record one thing."""
        entry: dict[str, Json] = {"kind": kind, **what}
        text = json.dumps(entry, sort_keys=True)
        if text not in self._known:
            self._known.add(text)
            self.entries.append(entry)


@frozen(kw_only=True)
class AttemptScope:
    """All that the calls of one attempt work on.

    Attributes:
        values: The task's context values, as the task has them too.
        files: Files as the attempt sees them.
        scratch_dir: Folder that the task and the platform share, for bulk bytes.
        now: Returns the time, ISO 8601 in UTC.
        new_id: Returns an identifier that nothing else has.
        allowed_ids: IDS that the function may write; None where config.json does not say.
        schemas: Where IDS and other schemas are; None: there are none.
        secrets: Where secrets are; None: there are none.
        bucket: Bucket of files that belong to no input file.
        link_reads: Whether the task sees the file store under the same paths, so that a
            link is enough to let it read a file.
        output_bytes: Largest sum of the files that the attempt may write, or None.
        reads: What the attempt read.
    """

    values: Mapping[str, Json]
    files: AttemptFiles
    scratch_dir: str
    now: Callable[[], str]
    new_id: Callable[[], str]
    allowed_ids: tuple[IdsReference, ...] | None = None
    schemas: SchemaSource | None = None
    secrets: SecretBackend | None = None
    bucket: str = ""
    link_reads: bool = True
    output_bytes: int | None = None
    reads: ReadLog = field(default_factory=ReadLog)

    def value(self, name: str) -> str:
        """Return a context value as text; empty where there is none."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    def file(self, pointer: Any) -> FileRecord:
        """Return the file version that a pointer names.

        Args:
            pointer: ``fileId`` alone, or ``bucket`` and ``fileKey`` with the ``version``
                where not the newest is meant.

        Raises:
            CallRefused: It names none.
        """
        if not isinstance(pointer, dict):
            raise CallRefused("TypeError", f"a file pointer is an object, not {pointer!r}")
        if list(pointer) == ["fileId"]:
            return self.file_by_id(pointer["fileId"])
        for name in ("bucket", "fileKey"):
            if name not in pointer:
                raise CallRefused("KeyError", name)
        record = self._versioned(pointer["fileKey"], pointer.get("version", ""))
        if record is None or record.pointer.bucket != pointer["bucket"]:
            raise CallRefused("FileNotFoundError", f"there is no file {_described(pointer)}")
        return record

    def file_by_id(self, file_id: Any) -> FileRecord:
        """Return the file version with this id.

        Raises:
            CallRefused: There is none.
        """
        record = self.files.get(file_id) if isinstance(file_id, str) else None
        if record is None:
            raise CallRefused("FileNotFoundError", f"there is no file with fileId {file_id!r}")
        return record

    def input_file(self) -> FileRecord:
        """Return the file that the workflow was started for.

        Raises:
            CallRefused: It was started without one.
        """
        pointer = self.values.get("inputFile")
        if not isinstance(pointer, dict) or not pointer.get("fileKey"):
            raise CallRefused(
                "ValueError", "the workflow has no input file; write_detached_file needs none"
            )
        names = ("bucket", "fileKey", "fileId", "version")
        return self.file({name: pointer[name] for name in names if name in pointer})

    def scratch_path(self, name: Any) -> str:
        """Return the path of a file that the task put into the scratch folder.

        Raises:
            CallRefused: The name is not that of an entry of the folder.
        """
        if not isinstance(name, str) or not name or "/" in name or name in (".", ".."):
            raise CallRefused("ValueError", f"{name!r} is not a name in the scratch folder")
        return os.path.join(self.scratch_dir, name)

    def _versioned(self, key: Any, version: Any) -> FileRecord | None:
        if not isinstance(version, str):
            raise CallRefused("ValueError", f"version of a file pointer must be text: {version!r}")
        if not isinstance(key, str):
            raise CallRefused("ValueError", f"fileKey of a file pointer must be text: {key!r}")
        return self.files.version(key, version) if version else self.files.latest(key)


def _described(pointer: Mapping[str, Any]) -> str:
    version = f" of version {pointer['version']!r}" if pointer.get("version") else ""
    return f"{pointer['fileKey']!r}{version} in bucket {pointer['bucket']!r}"

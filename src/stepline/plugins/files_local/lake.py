"""The user's own files as records: the input file, and folders of further files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stepline.errors import Location, Problem, UploadError
from stepline.model.file import FileCategory, FilePointer, FileRecord, Label
from stepline.plugins.files_local.entries import entry_problems
from stepline.plugins.files_local.json_file import read_json
from stepline.plugins.files_local.store import FolderStore
from stepline.ports.lake import RECORD_FILES

BUCKET = "local"
ORG = "local"
INDEX = "files.json"

# The namespace of uuid5 for addresses; the uuid module costs milliseconds.
_NAMESPACE = bytes.fromhex("6ba7b8119dad11d180b400c04fd430c8")


@dataclass
class Lake:
    """Files that a run may read besides its input.

    Attributes:
        records: One per file.
        notes: Records without bytes, by file id: what an earlier run noted about its input.
    """

    records: list[FileRecord] = field(default_factory=list)
    notes: dict[str, FileRecord] = field(default_factory=dict)

    def input_file(
        self, path: str, *, store: FolderStore, known_as: FilePointer | None = None
    ) -> FileRecord:
        """Return the record of an input file: the lake's, if the file is in the lake.

        Args:
            path: The file.
            store: What holds its bytes.
            known_as: The pointer that an earlier run knew the same bytes by.

        Raises:
            UploadError: It is missing, unreadable, or not a plain file.
        """
        record = local_file(path, store=store)
        for known in self.records:
            if known.blob == record.blob:
                return known
        if known_as is not None:
            record = replace(record, pointer=known_as)
        note = self.notes.get(record.pointer.file_id)
        return replace(record, labels=note.labels) if note else record


def local_file(path: str, *, store: FolderStore) -> FileRecord:
    """Return a user's file as a RAW record with the key ``local/<uuid5>/RAW/<name>``.

    Its ids follow from its path, size and time of change, so that the same file has the
    same ids in the next run.

    Raises:
        UploadError: It is missing, unreadable, or not a plain file.
    """
    blob = store.adopt(path)
    full = os.path.abspath(path)
    if not _is_unicode(full):
        raise UploadError(f"the name of {full!r} is not valid UTF-8")
    mtime_ns = int(blob.name.split(":", 3)[2])
    source_id = name_uuid(full)
    return FileRecord(
        pointer=FilePointer(
            BUCKET,
            f"{ORG}/{source_id}/{FileCategory.RAW.value}/{os.path.basename(full)}",
            file_id=name_uuid(blob.name),
            version=f"{mtime_ns:x}-{blob.size:x}",
        ),
        category=FileCategory.RAW,
        size=blob.size,
        created_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(mtime_ns / 1e9)),
        source={"id": source_id, "type": "local", "name": "local"},
        blob=blob.name,
    )


def load_lake(folder: str, *, store: FolderStore, unchanged: bool = False) -> Lake:
    """Return all files of a folder, with what its ``files.json`` says about them.

    Files that it does not name, or all where there is none, are RAW. The record that an
    earlier run left beside a ``files.json`` is none of them.

    Args:
        folder: The folder.
        store: What holds the files' bytes.
        unchanged: Every file must have the digest that ``files.json`` says.

    Raises:
        UploadError: The folder or its ``files.json`` is not usable; all problems at once.
    """
    if not os.path.isdir(folder):
        raise UploadError(f"there is no folder '{folder}'")
    entries = _index(os.path.join(folder, INDEX))
    where = Location(os.path.join(folder, INDEX))
    problems = [
        Problem("lake-entry", f"entry {number}: {text}", where)
        for number, entry in enumerate(entries)
        for text in entry_problems(entry, folder)
    ]
    if problems:
        raise UploadError(f"{where} has {len(problems)} problems", problems=problems)
    lake = Lake()
    described = {e["path"]: e for e in entries if e.get("path") is not None}
    left_out = {INDEX}
    if os.path.isfile(os.path.join(folder, INDEX)):
        left_out |= set(RECORD_FILES) - described.keys()
    for path in _files(folder):
        if path in left_out:
            continue
        record = local_file(os.path.join(folder, path), store=store)
        entry = described.get(path)
        lake.records.append(_described(record, entry) if entry else record)
    for entry in entries:
        if entry.get("path") is None:
            note = _described(_UNKNOWN, entry)
            lake.notes[note.pointer.file_id] = note
    if unchanged:
        _check_unchanged(lake, described, folder=folder, store=store)
    _check_unique(lake.records, where)
    return lake


def _check_unchanged(
    lake: Lake, described: Mapping[str, Any], *, folder: str, store: FolderStore
) -> None:
    """Refuse a folder whose files are not those that its ``files.json`` describes."""
    home = os.path.abspath(folder)
    blobs = {os.path.relpath(r.blob.split(":", 3)[3], home): r.blob for r in lake.records}
    changed = [
        path
        for path, entry in sorted(described.items())
        if path not in blobs or store.digest(blobs[path]) != entry.get("sha256")
    ]
    if changed:
        raise UploadError(
            f"'{changed[0]}' is not what the run left there",
            where=Location(os.path.join(folder, changed[0])),
            hint="put the file back, or run without --retry",
        )


def name_uuid(name: str) -> str:
    """Return the version 5 UUID of a name in the namespace of addresses."""
    import hashlib

    digest = bytearray(hashlib.sha1(_NAMESPACE + name.encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


_UNKNOWN = FileRecord(FilePointer(BUCKET, "", file_id="", version=""), FileCategory.RAW)


def _index(path: str) -> list[Any]:
    try:
        entries = read_json(path, error_class=UploadError)
    except FileNotFoundError:
        return []
    if not isinstance(entries, list):
        raise UploadError("must be a list of files", where=Location(path))
    return entries


def _files(folder: str) -> Iterator[str]:
    """Yield the paths of all files inside a folder, relative to it, in order."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        inside = os.path.relpath(parent, folder)
        for name in sorted(names):
            path = name if inside == "." else os.path.join(inside, name)
            if os.path.isfile(os.path.join(parent, name)):
                yield path


def _described(record: FileRecord, entry: Mapping[str, Any]) -> FileRecord:
    """Return a record with all that an entry of ``files.json`` says."""
    pointer, given = record.pointer, entry.get("file") or {}
    category = FileCategory(entry.get("category", record.category.value))
    key = given.get("fileKey")
    if not key:
        org, source_id, _, path = ([*pointer.key.split("/", 3), "", "", ""])[:4]
        source_id = (entry.get("source") or {}).get("id") or source_id
        key = "/".join((org, source_id, category.value, path))
    return replace(
        record,
        pointer=FilePointer(
            given.get("bucket") or pointer.bucket,
            key,
            file_id=given.get("fileId") or pointer.file_id,
            version=given.get("version") or pointer.version,
        ),
        category=category,
        created_at=entry.get("createdAt") or record.created_at,
        source={**record.source, **(entry.get("source") or {})},
        metadata=entry.get("metadata") or {},
        tags=tuple(sorted(entry.get("tags") or ())),
        labels=tuple(_labels(entry.get("labels") or ())),
        ids=entry.get("ids") or "",
        source_file_id=entry.get("sourceFileId") or "",
        trace_id=entry.get("traceId") or "",
        provenance=entry.get("provenance") or {},
    )


def _labels(entries: Iterable[Mapping[str, Any]]) -> Iterator[Label]:
    entries = list(entries)
    highest = max((entry.get("id", 0) for entry in entries), default=0)
    for entry in entries:
        number = entry.get("id")
        if not number:
            highest += 1
            number = highest
        yield Label(entry["name"], entry["value"], id=number)


def _check_unique(records: Iterable[FileRecord], where: Location) -> None:
    seen: set[str] = set()
    for record in records:
        file_id = record.pointer.file_id
        if file_id in seen:
            raise UploadError(f"two files have the fileId '{file_id}'", where=where)
        seen.add(file_id)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

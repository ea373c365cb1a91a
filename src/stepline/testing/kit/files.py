"""Files that a test adds, and those that functions write."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stepline.app.file_views import input_file_value
from stepline.frozen import frozen
from stepline.model import file_rules
from stepline.model.file import FileCategory, FilePointer, FileRecord, Label
from stepline.model.values import Json
from stepline.plugins.files_local.catalog import MemoryCatalog
from stepline.plugins.files_local.lake import BUCKET, ORG, name_uuid
from stepline.ports.files import Changes
from stepline.testing.kit.clock import Clock, Ids
from stepline.testing.kit.memory_store import MemoryStore

Content = bytes | str | Mapping[str, Any] | list[Any]
# A path of the project, or a file pointer.
FileWord = str | Path | Mapping[str, Json]
Labels = Mapping[str, str] | Iterable[tuple[str, str]]


@frozen
class StoredFile:
    """A file as it is when it is looked at.

    Attributes:
        record: All that is known about it.
        content: Its bytes.
    """

    record: FileRecord
    content: bytes

    @property
    def name(self) -> str:
        """Last part of the file's key."""
        return self.record.name

    @property
    def key(self) -> str:
        """``local/<source id>/<category>/<path>``."""
        return self.record.pointer.key

    @property
    def pointer(self) -> dict[str, Json]:
        """The file pointer that functions see."""
        return self.record.pointer.to_plain()

    @property
    def category(self) -> str:
        """RAW, IDS, PROCESSED or TMP."""
        return self.record.category.value

    @property
    def text(self) -> str:
        """The content as UTF-8."""
        return self.content.decode()

    @property
    def labels(self) -> list[tuple[str, str]]:
        """Names and values of the labels, in the order in which they were added."""
        return [(label.name, label.value) for label in self.record.labels]

    @property
    def metadata(self) -> dict[str, str]:
        """Custom metadata by key."""
        return dict(self.record.metadata)

    @property
    def tags(self) -> list[str]:
        """Custom tags, sorted."""
        return list(self.record.tags)

    def json(self) -> Any:
        """Return the content, which must be JSON, as data."""
        return json.loads(self.content)


class FilesByName(Mapping[str, StoredFile]):
    """Files by their name; where several have the same, by more of their key.

    Args:
        files: The files.
    """

    def __init__(self, files: Iterable[StoredFile]) -> None:
        self._files = list(files)

    def __getitem__(self, name: str) -> StoredFile:
        found = [file for file in self._files if f"/{file.key}".endswith(f"/{name}")]
        if len(found) == 1:
            return found[0]
        if found:
            keys = ", ".join(file.key for file in found)
            raise KeyError(f"several files are called {name!r}; give more of the key: {keys}")
        raise KeyError(f"no file is called {name!r}; there are: {', '.join(self) or 'none'}")

    def __iter__(self) -> Iterator[str]:
        names = [file.name for file in self._files]
        for file in self._files:
            yield file.name if names.count(file.name) == 1 else file.key

    def __len__(self) -> int:
        return len(self._files)

    def __repr__(self) -> str:
        return f"FilesByName({', '.join(self)})"


class Files:
    """The files of a test: ``files.add(…)`` makes one, ``files.written`` are the results.

    The first file that is added is the input file, ``context.input_file``.

    Args:
        find: Returns a file of the project by its path.
        clock: Tells when a file was made.
        ids: Gives file ids.
    """

    def __init__(self, *, find: Callable[[str | Path], Path], clock: Clock, ids: Ids) -> None:
        self.catalog = MemoryCatalog()
        self.store = MemoryStore()
        self.missing_keys: set[str] = set()
        self.on_input: Callable[[], None] = lambda: None
        self.settle: Callable[[], None] = lambda: None
        self._find = find
        self._clock = clock
        self._ids = ids
        self._added: set[str] = set()
        self._input_id: str | None = None

    def add(
        self,
        name: str | Path,
        content: Content | None = None,
        *,
        category: str = "RAW",
        labels: Labels = (),
        metadata: Mapping[str, str] | None = None,
        tags: Iterable[str] = (),
    ) -> dict[str, Json]:
        """Add a file, and return its pointer.

        Args:
            name: Path of a file of the project; with ``content`` any name, possibly with
                folders. A name that was added before gets a new version.
            content: Bytes, text (stored as UTF-8), or data to store as JSON.
            category: RAW, IDS, PROCESSED or TMP.
            labels: Values by name, or pairs of name and value.
            metadata: Custom metadata.
            tags: Custom tags.

        Raises:
            ConfigError: There is no such file.
            ValueError: A label, tag or metadata entry is not allowed.
        """
        if content is None:
            path = self._find(name)
            identity, name, data = str(path), path.name, path.read_bytes()
        else:
            identity, name, data = f"memory:{name}", os.fspath(name), _encoded(content)
        return self._store(
            _checked(
                self._record(identity, name, FileCategory(category), data),
                labels=labels,
                metadata=metadata or {},
                tags=list(tags),
            )
        )

    def find(self, file: FileWord) -> dict[str, Json]:
        """Return the pointer to a file: one of the test's, or one of the project, now added.

        Args:
            file: A pointer, or a path as for `add`; a file that was added before is not
                added again.
        """
        if isinstance(file, Mapping):
            return self.record(file).pointer.to_plain()
        path = self._find(file)
        known = self.catalog.latest(_key(str(path), path.name, FileCategory.RAW))
        return known.pointer.to_plain() if known else self.add(file)

    def missing(self, name: str) -> dict[str, Json]:
        """Return a pointer to a file that is not there, for a function that copes with that.

        Reading it raises FileNotFoundError, as reading any missing file does, and does not
        fail the test.
        """
        pointer = self._pointer(f"missing:{name}", name, FileCategory.RAW)
        self.missing_keys |= {pointer.key, pointer.file_id}
        return pointer.to_plain()

    @property
    def input(self) -> dict[str, Json] | None:
        """Pointer to the input file: the first that was added, unless another is set."""
        record = self.input_record
        return record.pointer.to_plain() if record else None

    @input.setter
    def input(self, pointer: Mapping[str, Json] | None) -> None:
        self._input_id = None if pointer is None else self.record(pointer).pointer.file_id
        self.on_input()

    @property
    def input_record(self) -> FileRecord | None:
        """The record of the input file, as it is now."""
        return self.catalog.get(self._input_id) if self._input_id else None

    def input_value(self) -> dict[str, Json]:
        """Return the input file as ``context.input_file``; empty where there is none."""
        record = self.input_record
        return input_file_value(record) if record else {}

    @property
    def written(self) -> FilesByName:
        """What functions have written: the newest version of each file."""
        self.settle()
        records = self.catalog.newest()
        return self.by_name(r for r in records if r.pointer.file_id not in self._added)

    def __getitem__(self, pointer: Mapping[str, Json] | str) -> StoredFile:
        """Return a file by its pointer, or the newest version by its name."""
        self.settle()
        if isinstance(pointer, str):
            return self.by_name(self.catalog.newest())[pointer]
        return self.stored(self.record(pointer))

    def record(self, pointer: Mapping[str, Json]) -> FileRecord:
        """Return the record of the file version that a pointer names.

        Raises:
            KeyError: There is no such file.
        """
        record = self.catalog.get(str(pointer.get("fileId")))
        if record is None:
            raise KeyError(f"there is no file with the pointer {dict(pointer)}")
        return record

    def by_name(self, records: Iterable[FileRecord]) -> FilesByName:
        """Return files of these records, with their contents."""
        return FilesByName([self.stored(record) for record in records])

    def stored(self, record: FileRecord) -> StoredFile:
        """Return the file of a record, with its content."""
        with self.store.open(record.blob) as stream:
            return StoredFile(record, stream.read())

    def _pointer(self, identity: str, name: str, category: FileCategory) -> FilePointer:
        problem = file_rules.file_name_problem(name)
        if problem:
            raise ValueError(f"{name!r} is not a name for a file: {problem}")
        key = _key(identity, name, category)
        return FilePointer(BUCKET, key, file_id=self._ids.new(), version=self._ids.new())

    def _record(
        self, identity: str, name: str, category: FileCategory, content: bytes
    ) -> FileRecord:
        blob = self.store.put(content)
        return FileRecord(
            pointer=self._pointer(identity, name, category),
            category=category,
            size=blob.size,
            sha256=blob.sha256,
            created_at=self._clock.now(),
            source={"id": name_uuid(identity), "type": "local", "name": "local"},
            blob=blob.name,
        )

    def _store(self, record: FileRecord) -> dict[str, Json]:
        numbers = self.catalog.new_label_ids(len(record.labels))
        labels = (
            replace(label, id=number) for label, number in zip(record.labels, numbers, strict=True)
        )
        self.catalog.commit(Changes(files=(record.with_labels(tuple(labels)),)))
        file_id = record.pointer.file_id
        self._added.add(file_id)
        if self._input_id is None:
            self._input_id = file_id
            self.on_input()
        return record.pointer.to_plain()


def _key(identity: str, name: str, category: FileCategory) -> str:
    return f"{ORG}/{name_uuid(identity)}/{category.value}/{name}"


def _encoded(content: Content) -> bytes:
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode()
    return json.dumps(content).encode()


def _checked(
    record: FileRecord, *, labels: Labels, metadata: Mapping[str, str], tags: list[str]
) -> FileRecord:
    pairs = list(labels.items() if isinstance(labels, Mapping) else labels)
    problems = [
        *file_rules.label_problems({"name": name, "value": value} for name, value in pairs),
        *(file_rules.metadata_problem(key, value) for key, value in metadata.items()),
        *(file_rules.tag_problem(tag) for tag in tags),
        file_rules.attributes_problem(metadata, tags),
    ]
    if any(problems):
        raise ValueError("\n".join(filter(None, problems)))
    return replace(
        record,
        labels=tuple(Label(name, value) for name, value in pairs),
        metadata=dict(metadata),
        tags=tuple(sorted(tags)),
    )

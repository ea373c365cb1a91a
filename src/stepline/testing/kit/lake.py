"""A test's files, as a run of a protocol wants them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from stepline.model.file import FilePointer, FileRecord
from stepline.ports.files import Changes, FileCatalog, FileStore
from stepline.testing.kit.files import Files


class KitLake:
    """The port ``LocalLake`` over the files of a test; nothing is exported.

    Args:
        files: The files.
    """

    def __init__(self, files: Files) -> None:
        self._files = files

    @property
    def catalog(self) -> FileCatalog:
        """All visible files."""
        return self._files.catalog

    @property
    def store(self) -> FileStore:
        """The bytes of the files."""
        return self._files.store

    def work_in(self, folder: Path) -> None:
        """A test's folders are the test's own."""
        folder.mkdir(parents=True)

    def keep_work(self, folder: Path) -> None:
        """They stay as long as the test's do."""

    def add_input(self, path: Path, *, known_as: FilePointer | None = None) -> FileRecord:
        """Take a file of the project in."""
        return self._files.record(self._files.find(path))

    def add_known(self, record: FileRecord, path: Path | None) -> FileRecord:
        """Take a file in under the record that another catalog has of it."""
        blob = self._files.store.put(path.read_bytes()).name if path else ""
        record = replace(record, blob=blob)
        self._files.catalog.commit(Changes(files=(record,)))
        return record

    def add_folder(self, folder: Path, *, own: bool = False) -> None:
        """Take all files of a folder in."""
        for path in sorted(entry for entry in folder.rglob("*") if entry.is_file()):
            self._files.find(path)

    def check_results(self, out: Path, *, beside: Iterable[str], read: Iterable[Path]) -> None:
        """Results are not exported, so any folder will do."""

    def export(self, out: Path, *, workflow_id: str, beside: Mapping[str, Path]) -> int:
        """Results stay in memory."""
        return 0

"""The files of one run: the port ``LocalLake`` over the parts of this package."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from stepline.errors import SettingsError, UploadError
from stepline.model.file import FilePointer, FileRecord
from stepline.plugins.files_local.catalog import MemoryCatalog
from stepline.plugins.files_local.lake import Lake, load_lake
from stepline.plugins.files_local.store import FolderStore, copy_bytes
from stepline.ports.files import Changes

_NAME_BYTES = 255


class RunLake:
    """Files that a run reads and writes.

    Args:
        folder: Folder for the bytes that tasks write, on the file system of the results.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.store = FolderStore(str(folder))
        self.catalog = MemoryCatalog()
        self._lake = Lake()
        self._inputs: dict[str, FileRecord] = {}
        self._own_notes: set[str] = set()

    def work_in(self, folder: Path) -> None:
        """Make the folder that the run works in, for as long as this process lives."""
        from stepline.plugins.files_local.work_folders import hold, sweep_stale

        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep_stale(str(folder.parent), folder.name[1:].rpartition(".work-")[0])
        hold(str(folder))

    def keep_work(self, folder: Path) -> None:
        """Let a work folder outlive this process."""
        from stepline.plugins.files_local.work_folders import LOCK_NAME

        (folder / LOCK_NAME).unlink(missing_ok=True)

    def add_input(self, path: Path, *, known_as: FilePointer | None = None) -> FileRecord:
        """Make a local file visible, without copying it."""
        record = self._lake.input_file(str(path), store=self.store, known_as=known_as)
        if record.size == 0:
            raise UploadError(f"'{path}' is empty", hint="is it still being written?")
        if self.catalog.get(record.pointer.file_id) is None:
            self.catalog.commit(Changes(files=(record,)))
        self._inputs[record.pointer.file_id] = record
        return record

    def add_known(self, record: FileRecord, path: Path | None) -> FileRecord:
        """Make a file visible under the record that another catalog has of it."""
        blob = self.store.adopt(str(path)).name if path else f"not here: {record.pointer.key}"
        record = replace(record, blob=blob)
        if self.catalog.get(record.pointer.file_id) is None:
            self.catalog.commit(Changes(files=(record,)))
        self._inputs[record.pointer.file_id] = record
        return record

    def add_folder(self, folder: Path, *, own: bool = False) -> None:
        """Make the files of a folder visible."""
        lake = load_lake(str(folder), store=self.store, unchanged=own)
        if own:
            self._own_notes |= lake.notes.keys()
        self.catalog.commit(Changes(files=tuple(lake.records)))
        self._lake.records += lake.records
        self._lake.notes |= lake.notes

    def check_results(self, out: Path, *, beside: Iterable[str], read: Iterable[Path]) -> None:
        """Refuse a folder that results cannot take the place of."""
        _check_can_be_made(str(self._folder))
        if not os.path.exists(out):
            _check_can_be_made(os.path.realpath(out))
            return
        from stepline.plugins.files_local.results import check_results_folder

        check_results_folder(str(out), others=list(beside), lakes=[str(folder) for folder in read])

    def export(self, out: Path, *, workflow_id: str, beside: Mapping[str, Path]) -> int:
        """Write a workflow's files and ``files.json`` into a folder, all at once."""
        from stepline.plugins.files_local.results import export, results_folder

        made = [
            record
            for record in self.catalog.newest()
            if record.provenance.get("workflowId") == workflow_id
        ]
        with results_folder(str(out), others=list(beside)) as folder:
            export(made, folder, store=self.store, notes=self._changed_inputs())
            for name, path in beside.items():
                _move(str(path), os.path.join(folder, name))
        return len(made)

    def _changed_inputs(self) -> list[FileRecord]:
        """Return inputs whose labels the workflow has changed, now or before a retry."""
        now = [(self.catalog.get(file_id), record) for file_id, record in self._inputs.items()]
        return [
            after
            for after, before in now
            if after and (after.labels != before.labels or after.pointer.file_id in self._own_notes)
        ]


def _check_can_be_made(path: str) -> None:
    """Refuse a folder that a run could not make when its results are there."""
    home = os.path.abspath(path)
    while not os.path.lexists(home):
        if len(os.fsencode(os.path.basename(home))) > _NAME_BYTES:
            raise SettingsError(f"'{home}' has too long a name", hint="use a shorter one")
        home = os.path.dirname(home)
    if not os.path.isdir(home):
        raise SettingsError(f"'{home}' is not a folder", hint="use another folder for the results")
    if not os.access(home, os.W_OK | os.X_OK):
        raise SettingsError(
            f"nothing can be written in '{home}', where the run keeps its files meanwhile",
            hint="look at the permissions of the folder, or name with --out one that is deeper",
        )


def _move(path: str, target: str) -> None:
    try:
        os.rename(path, target)
    except OSError:
        # Another file system, as where the results are on one of their own.
        copy_bytes(path, target)

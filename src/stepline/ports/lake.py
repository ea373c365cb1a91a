"""The files of one run on this machine: inputs where they are, outputs to a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from stepline.model.file import FilePointer, FileRecord
from stepline.ports.files import FileCatalog, FileStore

RECORD_NAME = "workflow.json"
LOG_NAME = "workflow.log"
RECORD_FILES = (RECORD_NAME, LOG_NAME)
"""What a run writes into its results besides the files of tasks and ``files.json``."""


class LocalLake(Protocol):
    """A catalog and store over local folders."""

    @property
    def catalog(self) -> FileCatalog:
        """All visible files."""

    @property
    def store(self) -> FileStore:
        """The bytes of the files."""

    def work_in(self, folder: Path) -> None:
        """Make the folder that the run works in, for as long as this process lives.

        Folders beside it that runs of the same results left when they were killed are
        removed.

        Args:
            folder: ``.<name of the results>.work-<anything>``, beside the results.

        Raises:
            OSError: It cannot be made.
        """

    def keep_work(self, folder: Path) -> None:
        """Let a work folder outlive this process, since what is in it is found nowhere else."""

    def add_input(self, path: Path, *, known_as: FilePointer | None = None) -> FileRecord:
        """Make a local file visible, without copying it.

        Args:
            path: The file.
            known_as: The pointer that an earlier run knew the same bytes by.

        Raises:
            UploadError: It is missing, empty, not a plain file, or not readable.
        """

    def add_known(self, record: FileRecord, path: Path | None) -> FileRecord:
        """Make a file visible under the record that another catalog has of it.

        Args:
            record: What is known about it.
            path: Its bytes on this machine, which are not copied; None if they are not
                here, so that the file can be found but not read.

        Raises:
            UploadError: The path is missing, not a plain file, or not readable.
        """

    def add_folder(self, folder: Path, *, own: bool = False) -> None:
        """Make the files of a folder visible, as its ``files.json`` says if it has one.

        Args:
            folder: The folder.
            own: The workflow's own results so far, which must be as it left them.

        Raises:
            UploadError: There is no such folder, or its ``files.json`` is not usable.
        """

    def check_results(self, out: Path, *, beside: Iterable[str], read: Iterable[Path]) -> None:
        """Refuse a folder that results cannot take the place of.

        Args:
            out: The folder; it need not exist.
            beside: Files that earlier runs wrote besides those that tasks made.
            read: Folders that the run reads.

        Raises:
            SettingsError: It holds what no run wrote, is read by the run, or cannot be
                written.
        """

    def export(self, out: Path, *, workflow_id: str, beside: Mapping[str, Path]) -> int:
        """Write a workflow's files and ``files.json`` into a folder, all at once.

        Args:
            out: The folder; earlier results in it are replaced.
            workflow_id: The workflow that made the files.
            beside: Further files by their name in the folder; they are moved there.

        Returns:
            How many files tasks had made.

        Raises:
            PlatformError: The folder cannot be written; nothing changed in it.
        """

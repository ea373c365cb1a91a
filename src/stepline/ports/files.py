"""Files: a store for bytes, and a catalog of what is known about them.

Bytes go to a store first and become visible by one commit of the catalog, so that a
half-written file is never seen. A store keeps equal bytes once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from io import BufferedReader
from typing import Any, BinaryIO, Protocol

from stepline.errors import TaskError, UploadError
from stepline.frozen import frozen
from stepline.model.file import FileRecord, Label

_PLAIN_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_plain(path: str) -> BufferedReader:
    """Open a file that a task named, but no link, device, pipe or folder.

    Raises:
        UploadError: It is something else, missing, or not readable.
    """
    try:
        descriptor = os.open(path, _PLAIN_READ)
    except OSError as error:
        raise UploadError(f"'{path}' is no readable plain file: {error.strerror}") from error
    except ValueError as error:
        raise UploadError(f"{path!r} cannot be the name of a file") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UploadError(f"'{path}' is not a plain file")
    return open(descriptor, "rb")


class FileConflict(TaskError):
    """Somebody else changed a file that a commit depends on.

    Args:
        key: Key of the file.
    """

    def __init__(self, key: str) -> None:
        super().__init__(
            f"file '{key}' was modified by somebody else", hint="read it again and repeat the write"
        )
        self.key = key


@frozen
class Blob:
    """Bytes that a store holds.

    Attributes:
        name: What the store knows them by; opaque to everybody else.
        size: Bytes.
        sha256: Hex digest.
    """

    name: str
    size: int
    sha256: str


@frozen
class Precondition:
    """What must hold for the newest version of a file when a commit is made.

    Attributes:
        key: Key of the file.
        sha256: Hex digest that its bytes must have; None: there must be no such file.
    """

    key: str
    sha256: str | None

    def holds(self, newest: FileRecord | None) -> bool:
        """Return whether the newest version of the file is as it must be."""
        if newest is None or self.sha256 is None:
            return newest is None and self.sha256 is None
        return newest.sha256 == self.sha256


@frozen
class LabelEdit:
    """Labels to add to and remove from one file version.

    A pair of name and value that is there already is not added again; an edit of a file
    that is gone changes nothing.

    Attributes:
        file_id: The version.
        added: Labels to add.
        removed: Ids of labels to remove.
        silent: Whether this is no event that may start pipelines.
    """

    file_id: str
    added: tuple[Label, ...] = ()
    removed: tuple[int, ...] = ()
    silent: bool = False

    def apply(self, record: FileRecord) -> FileRecord:
        """Return the record of the file with its labels changed."""
        kept = [label for label in record.labels if label.id not in self.removed]
        present = {(label.name, label.value) for label in kept}
        added = [label for label in self.added if (label.name, label.value) not in present]
        return record.with_labels((*kept, *added))


@frozen
class Changes:
    """All that one commit makes visible.

    Attributes:
        files: New file versions, in the order in which they were written.
        labels: Edits of versions that were visible before.
        preconditions: What must hold before any of it is done.
    """

    files: tuple[FileRecord, ...] = ()
    labels: tuple[LabelEdit, ...] = ()
    preconditions: tuple[Precondition, ...] = ()


class BlobReader(Protocol):
    """What can be read from a store, or from a staging area and the store behind it."""

    def open(self, name: str) -> BinaryIO:
        """Open a blob for reading.

        Raises:
            PlatformError: The blob is gone, or is not what it was.
        """

    def local_path(self, name: str) -> str | None:
        """Return the path of a blob on this machine, or None where it has none.

        Raises:
            PlatformError: The blob is gone, or is not what it was.
        """


class StagingArea(BlobReader, Protocol):
    """Bytes that one attempt wrote and nobody else sees yet."""

    def add(self, path: str, *, move: bool = False) -> Blob:
        """Take in the bytes of a file.

        Args:
            path: A plain file; links and devices are refused.
            move: Whether the file may be moved away, as is quicker.

        Raises:
            UploadError: The path is not a plain file.
            PlatformError: There is no place for the bytes; retryable.
        """

    def publish(self) -> None:
        """Hand everything over to the store. To be called before the catalog's commit.

        Nobody may be writing any more: the task's processes have ended.

        Raises:
            UploadError: Bytes are no longer those that were taken in; nothing was handed over.
            PlatformError: There is no place for the bytes; retryable.
        """

    def discard(self) -> None:
        """Remove everything that was not published."""


class FileStore(BlobReader, Protocol):
    """Keeps bytes by content."""

    def staging(self) -> StagingArea:
        """Return an empty staging area."""

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a blob as hex digits, reading it where that is needed."""

    def presigned_url(self, name: str, *, ttl_s: float) -> str | None:
        """Return an address for fetching a blob.

        Args:
            name: The blob.
            ttl_s: Seconds for which the address works.

        Returns:
            None where the store has no such addresses.
        """


class FileCatalog(Protocol):
    """Knows every visible file version."""

    def get(self, file_id: str) -> FileRecord | None:
        """Return the file version with this id."""

    def version(self, key: str, version: str) -> FileRecord | None:
        """Return this version of the file with this key."""

    def latest(self, key: str) -> FileRecord | None:
        """Return the newest version of the file with this key."""

    def newest(self) -> Iterable[FileRecord]:
        """Return the newest version of every file, in the order of their commits."""

    def search(self, payload: Any, *, overlay: Sequence[FileRecord] = ()) -> dict[str, Any]:
        """Return what a search finds among the newest versions of all files.

        Args:
            payload: Elasticsearch request body, as `engine.search.search` takes it.
            overlay: Versions that take the place of those with the same key; in the order of
                hits they come last.

        Raises:
            UserError: The body is malformed, or uses what is not supported.
        """

    def new_label_ids(self, count: int) -> Sequence[int]:
        """Return numbers that no label has or had."""

    def commit(self, changes: Changes) -> None:
        """Make changes visible, all of them at once.

        Raises:
            FileConflict: A precondition does not hold; nothing was changed.
        """

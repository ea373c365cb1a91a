"""What the stand-in remembers: calls, uploaded blobs and datasets with versions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stepline.frozen import frozen


@frozen
class Call:
    """One request that was answered.

    Attributes:
        number: Place in the order of answers, from 1.
        operation: Name in the 2.2 line's form, such as ``CreateDataset``; ``PutBlob``,
            ``GetFile`` and ``GetArchive`` for bytes; ``Unknown`` or ``Elsewhere`` if refused.
        line: The client line that speaks this path, ``2.2`` or ``1.6``; empty for bytes.
        method: HTTP method.
        path: Path as sent, without host and query.
        user: User name of the credentials, None if there was none. Keys are never kept.
        parameters: What path, query and JSON body say, under the 2.2 line's names.
        status: HTTP status of the answer.
    """

    number: int
    operation: str
    line: str
    method: str
    path: str
    user: str | None
    parameters: dict[str, Any]
    status: int


@dataclass
class Blob:
    """An upload, complete once all announced bytes are there.

    Attributes:
        token: Name under which a dataset takes it up.
        name: File name that the client announced.
        kind: Type that the client announced, such as ``DATASET``.
        size: Announced size in bytes.
        data: Bytes received so far.
    """

    token: str
    name: str
    kind: str
    size: int
    data: bytes = field(default=b"", repr=False)
    complete: bool = False

    @property
    def sha256(self) -> str:
        """Return the digest, in hex, of the bytes received so far."""
        return hashlib.sha256(self.data).hexdigest()

    def to_plain(self) -> dict[str, Any]:
        """Return everything but the bytes."""
        return {
            "token": self.token,
            "name": self.name,
            "kind": self.kind,
            "size": self.size,
            "sha256": self.sha256,
            "complete": self.complete,
        }


@frozen
class DatasetFile:
    """A file of one dataset version; size in bytes."""

    name: str
    size: int
    sha256: str


@frozen
class DatasetVersion:
    """A numbered version of a dataset, from 1; `created_at` is in UTC."""

    number: int
    notes: str
    status: str
    created_at: datetime
    files: tuple[DatasetFile, ...]


@frozen
class Dataset:
    """A dataset with all its versions, oldest first."""

    owner: str
    slug: str
    title: str
    licence: str
    private: bool
    versions: tuple[DatasetVersion, ...]

    @property
    def ref(self) -> str:
        """Return ``owner/slug``."""
        return f"{self.owner}/{self.slug}"

    @property
    def current(self) -> DatasetVersion:
        """Return the newest version."""
        return self.versions[-1]

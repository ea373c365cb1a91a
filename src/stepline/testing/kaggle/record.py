"""What the stand-in remembers: calls, uploaded blobs and datasets with versions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stepline.frozen import frozen
from stepline.testing.loopback.standin import Call


@frozen(kw_only=True)
class KaggleCall(Call):
    """One request that was answered, or cut.

    An operation is named in the 2.2 line's form, such as ``CreateDataset``; it is ``PutBlob``,
    ``GetFile``, ``GetArchive`` or ``GetModelArchive`` for bytes, and ``Unknown`` or ``Elsewhere``
    if refused.

    Attributes:
        line: The client line that speaks this path, ``2.2`` or ``1.6``; empty for bytes.
        parameters: What path, query and JSON body say, under the 2.2 line's names; empty
            where the connection was cut within the body.
    """

    line: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


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
    _digest: tuple[bytes | None, str] = field(default=(None, ""), repr=False, compare=False)

    @property
    def sha256(self) -> str:
        """Return the digest, in hex, of the bytes received so far."""
        if self._digest[0] is not self.data:  # reckoned once for the same bytes
            self._digest = (self.data, hashlib.sha256(self.data).hexdigest())
        return self._digest[1]

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
    """A dataset with all its versions, oldest first; `description` as it was last sent."""

    owner: str
    slug: str
    title: str
    licence: str
    private: bool
    versions: tuple[DatasetVersion, ...]
    description: str = ""

    @property
    def ref(self) -> str:
        """Return ``owner/slug``."""
        return f"{self.owner}/{self.slug}"

    @property
    def current(self) -> DatasetVersion:
        """Return the newest version."""
        return self.versions[-1]


@frozen
class KernelVersion:
    """A numbered version of a kernel, from 1.

    Attributes:
        number: From 1.
        source: The whole text of the script or notebook.
        status: Of its run: ``QUEUED``, ``RUNNING``, ``COMPLETE`` or ``ERROR``.
        failure: The service's words about a run that failed.
        created_at: In UTC.
    """

    number: int
    source: str
    status: str
    failure: str
    created_at: datetime


@frozen
class Kernel:
    """A kernel with all its versions, oldest first.

    Attributes:
        number: The service's own number of it.
        owner: User name.
        slug: Name in the URL.
        title: Name that people read.
        settings: What the newest push said of language, type, privacy and sources.
        versions: From version 1 on.
    """

    number: int
    owner: str
    slug: str
    title: str
    settings: dict[str, Any]
    versions: tuple[KernelVersion, ...]

    @property
    def ref(self) -> str:
        """Return ``owner/slug``."""
        return f"{self.owner}/{self.slug}"

    @property
    def current(self) -> KernelVersion:
        """Return the newest version."""
        return self.versions[-1]


@frozen
class ModelVersion:
    """A numbered version of a model's variation, from 1; `asks_left` until it is ready."""

    number: int
    notes: str
    created_at: datetime
    files: tuple[DatasetFile, ...]
    asks_left: int = 0


@frozen
class Variation:
    """A variation of a model with all its versions, oldest first; an instance to clients."""

    number: int
    framework: str
    slug: str
    licence: str
    overview: str
    usage: str
    versions: tuple[ModelVersion, ...]

    @property
    def current(self) -> ModelVersion:
        """Return the newest version."""
        return self.versions[-1]


@frozen
class Model:
    """A model with its variations, by ``framework/slug``."""

    number: int
    owner: str
    slug: str
    title: str
    subtitle: str
    description: str
    private: bool
    variations: dict[str, Variation]

    @property
    def ref(self) -> str:
        """Return ``owner/slug``."""
        return f"{self.owner}/{self.slug}"

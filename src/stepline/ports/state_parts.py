"""Small parts of the service's state: named values, what was taken in, who refers to blobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from stepline.frozen import frozen
from stepline.model.artifact import ArtifactName
from stepline.model.file import FileRecord
from stepline.model.values import Json


class Values(Protocol):
    """Small named values: shared settings, marks of watchers, the installation's own."""

    def get(self, space: str, name: str) -> Json:
        """Return a value, or None."""

    def all(self, space: str) -> Mapping[str, Json]:
        """Return all values of a space, by name."""

    def set(self, space: str, name: str, *, value: Json) -> None:
        """Store a value; None removes it."""


class Intake(Protocol):
    """Files of watched folders that were taken in, so that none is taken twice."""

    def taken(self, keys: Sequence[str]) -> frozenset[str]:
        """Return those keys, one for each state of each file, that were taken before."""

    def take(self, key: str, *, file_id: str) -> bool:
        """Note that a file was taken; False where it was before."""


@frozen
class BlobUsers:
    """What refers to a blob.

    Attributes:
        files: File versions, in the order of their commits; also deleted ones.
        total: How many file versions there are in all.
        artifacts: Published versions whose archive it is.
    """

    files: Sequence[FileRecord]
    total: int
    artifacts: Sequence[ArtifactName]


class References(Protocol):
    """Which blobs are referred to: by file versions, also deleted ones, and by archives.

    The archive of every digest that was ever published counts, as do those of builds in
    progress.
    """

    def blobs(self, *, after: str = "", limit: int = 1000) -> Sequence[str]:
        """Return names of blobs behind a name, in order, without doubles."""

    def in_use(self, names: Sequence[str]) -> frozenset[str]:
        """Return those names that something refers to."""

    def users(self, name: str, *, limit: int = 100) -> BlobUsers:
        """Return what refers to a blob; of its file versions, the first ``limit``."""

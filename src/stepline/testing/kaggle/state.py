"""What the stand-in knows, and the rules by which it changes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from stepline.frozen import frozen
from stepline.testing.kaggle.record import Blob, Dataset, DatasetFile, DatasetVersion
from stepline.testing.loopback.messages import RefusedError

# What the service calls a version that it works on, before it is READY or FAILED.
PROCESSING = "BLOBS_RECEIVED"


class DeclinedError(Exception):
    """The service answers 200 with ``"status": "error"``, as it does to bad content."""


@frozen
class NewDataset:
    """What a client says of a dataset that it creates."""

    owner: str
    slug: str
    title: str
    licence: str
    private: bool
    description: str = ""


def _utc_now() -> datetime:
    return datetime.now(tz=UTC)


class KaggleState:
    """Blobs and datasets; not thread-safe, so callers hold one lock.

    Args:
        now: Clock; returns the time in UTC.

    Attributes:
        processing: How often a client asks before what it made from now on is done.
        failure: Words with which processing ends; None: it ends well.
    """

    def __init__(self, now: Callable[[], datetime] = _utc_now) -> None:
        self.processing = 0
        self.failure: str | None = None
        self.blobs: dict[str, Blob] = {}
        self.datasets: dict[str, Dataset] = {}
        self.now = now
        self.numbers = itertools.count(1)
        self._asks_left: dict[tuple[str, int], int] = {}

    def begin_upload(self, *, name: str, kind: str, size: int) -> Blob:
        """Announce an upload of `size` bytes and return its empty blob."""
        blob = Blob(token=f"upload-{next(self.numbers)}", name=name, kind=kind, size=size)
        self.blobs[blob.token] = blob
        return blob

    def upload(self, token: str) -> Blob:
        """Return the upload of that token.

        Raises:
            RefusedError: 404; there is none.
        """
        if token not in self.blobs:
            raise RefusedError(404, f"no upload {token}")
        return self.blobs[token]

    def receive(self, token: str, data: bytes, *, offset: int = 0) -> Blob:
        """Take bytes of an upload, from `offset` on.

        Raises:
            RefusedError: Nothing was announced, a gap would remain, the bytes exceed what
                was announced, or the upload is complete with other bytes.
        """
        blob = self.upload(token)
        if offset > len(blob.data):
            raise RefusedError(400, f"{blob.name}: bytes {len(blob.data)}-{offset} are missing")
        merged = blob.data[:offset] + data if offset else data
        if len(merged) > blob.size:
            raise RefusedError(400, f"{blob.name}: {blob.size} bytes announced, more sent")
        if blob.complete and merged != blob.data:
            raise RefusedError(409, f"{blob.name}: already complete with other bytes")
        blob.data = merged
        blob.complete = len(merged) == blob.size
        return blob

    def keep(self, name: str, data: bytes) -> str:
        """Take a file whole, and return the token of its upload."""
        blob = self.begin_upload(name=name, kind="", size=len(data))
        return self.receive(blob.token, data).token

    def dataset(self, ref: str) -> Dataset:
        """Return the dataset ``owner/slug``.

        Raises:
            RefusedError: 404; there is none.
        """
        if ref not in self.datasets:
            raise RefusedError(404, f"Dataset {ref} was not found")
        return self.datasets[ref]

    def version(self, ref: str, number: int | None = None) -> DatasetVersion:
        """Return one version of a dataset, by default the newest.

        Raises:
            RefusedError: 404; no such dataset or version.
        """
        dataset = self.dataset(ref)
        if number is None:
            return dataset.current
        for version in dataset.versions:
            if version.number == number:
                return version
        raise RefusedError(404, f"Dataset {ref} has no version {number}")

    def create_dataset(self, new: NewDataset, tokens: Iterable[str]) -> Dataset:
        """Make a dataset whose version 1 holds the uploads named by `tokens`.

        Raises:
            DeclinedError: The name or title is taken, or an upload is missing.
        """
        for known in self.datasets.values():
            if known.owner == new.owner and new.slug == known.slug:
                raise DeclinedError(f'The requested slug "{new.slug}" is already in use')
            if known.owner == new.owner and new.title == known.title:
                raise DeclinedError(f'The requested title "{new.title}" is already in use')
        ref = f"{new.owner}/{new.slug}"
        first = self._new_version(ref, 1, notes="Initial release", tokens=tokens)
        dataset = Dataset(
            owner=new.owner,
            slug=new.slug,
            title=new.title,
            licence=new.licence,
            private=new.private,
            versions=(first,),
            description=new.description,
        )
        self.datasets[dataset.ref] = dataset
        return dataset

    def create_version(
        self, ref: str, *, notes: str, tokens: Iterable[str], description: str | None = None
    ) -> Dataset:
        """Add a version that holds just the uploads named by `tokens`.

        Args:
            ref: The dataset.
            notes: What is said of the version.
            tokens: The uploads.
            description: The dataset's from now on; None leaves it as it is.

        Raises:
            RefusedError: 403 as the service says it; there is no such dataset.
            DeclinedError: An upload is missing.
        """
        if ref not in self.datasets:
            raise RefusedError(403, "Permission 'datasets.update' was denied")
        dataset = self.datasets[ref]
        number = dataset.current.number + 1
        version = self._new_version(ref, number, notes=notes, tokens=tokens)
        self.datasets[ref] = replace(
            dataset,
            versions=(*dataset.versions, version),
            description=dataset.description if description is None else description,
        )
        return self.datasets[ref]

    def ask_status(self, ref: str) -> str:
        """Return how the newest version is, which is one more ask for it.

        Raises:
            RefusedError: 404; there is no such dataset.
        """
        dataset = self.dataset(ref)
        version = dataset.current
        left = self._asks_left.get((ref, version.number), 0)
        if version.status != PROCESSING or left > 0:
            self._asks_left[ref, version.number] = left - 1
            return version.status
        done = replace(version, status="READY" if self.failure is None else "FAILED")
        self.datasets[ref] = replace(dataset, versions=(*dataset.versions[:-1], done))
        return done.status

    def content(self, sha256: str) -> bytes:
        """Return the bytes of a complete upload.

        Raises:
            KeyError: No complete upload has that digest.
        """
        for blob in self.blobs.values():
            if blob.complete and blob.sha256 == sha256:
                return blob.data
        raise KeyError(sha256)

    def files(self, tokens: Iterable[str]) -> tuple[DatasetFile, ...]:
        """Return the uploads named by `tokens` as files.

        Raises:
            DeclinedError: An upload is missing.
        """
        return tuple(self._file(token) for token in tokens)

    def _new_version(
        self, ref: str, number: int, *, notes: str, tokens: Iterable[str]
    ) -> DatasetVersion:
        files = self.files(tokens)
        self._asks_left[ref, number] = self.processing
        at_once = self.processing == 0 and self.failure is None
        status = "READY" if at_once else PROCESSING
        return DatasetVersion(
            number=number, notes=notes, status=status, created_at=self.now(), files=files
        )

    def _file(self, token: str) -> DatasetFile:
        blob = self.blobs.get(token)
        if blob is None or not blob.complete:
            raise DeclinedError(f"The upload {token} is not complete")
        return DatasetFile(name=blob.name, size=blob.size, sha256=blob.sha256)

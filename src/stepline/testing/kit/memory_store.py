"""A file store that keeps everything in memory."""

from __future__ import annotations

import hashlib
import io
import os
from typing import BinaryIO

from stepline.errors import PlatformError, UploadError
from stepline.ports.files import Blob, open_plain


class MemoryStore:
    """Keeps bytes by content for as long as it lives."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    def put(self, content: bytes) -> Blob:
        """Take in bytes, visible at once."""
        blob = blob_of(content)
        self._blobs[blob.name] = content
        return blob

    def staging(self) -> MemoryStaging:
        """Return an empty staging area."""
        return MemoryStaging(self)

    def open(self, name: str) -> BinaryIO:
        """Open a blob for reading.

        Raises:
            PlatformError: There is no such blob.
        """
        if name not in self._blobs:
            raise PlatformError(f"the file store holds no bytes named '{name}'")
        return io.BytesIO(self._blobs[name])

    def local_path(self, name: str) -> None:
        """Return None: no blob has a path."""

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a blob as hex digits."""
        return name

    def presigned_url(self, name: str, *, ttl_s: float) -> str | None:
        """Return None: there are no addresses of what is in memory."""
        del name, ttl_s
        return None


class MemoryStaging:
    """Bytes that one attempt wrote and nobody else sees yet.

    Args:
        store: Where they go when they are published.
    """

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._staged: dict[str, bytes] = {}

    def add(self, path: str, *, move: bool = False) -> Blob:
        """Take in the bytes of a file.

        Args:
            path: A plain file; links and devices are refused.
            move: Whether the file may be moved away.

        Raises:
            UploadError: The path is not a plain file.
        """
        content = _read_plain(path, only_name=move)
        if move:
            os.unlink(path)
        blob = blob_of(content)
        self._staged[blob.name] = content
        return blob

    def open(self, name: str) -> BinaryIO:
        """Open a staged blob, or one of the store, for reading."""
        return io.BytesIO(self._staged[name]) if name in self._staged else self._store.open(name)

    def local_path(self, name: str) -> None:
        """Return None: no blob has a path."""

    def publish(self) -> None:
        """Hand everything over to the store."""
        for content in self._staged.values():
            self._store.put(content)
        self._staged.clear()

    def discard(self) -> None:
        """Forget everything that was not published."""
        self._staged.clear()


def blob_of(content: bytes) -> Blob:
    """Return what a store knows bytes by: their digest."""
    digest = hashlib.sha256(content).hexdigest()
    return Blob(digest, size=len(content), sha256=digest)


def _read_plain(path: str, *, only_name: bool) -> bytes:
    with open_plain(path) as file:
        if only_name and os.fstat(file.fileno()).st_nlink != 1:
            raise UploadError(f"'{path}' is a file that has other names too")
        return file.read()

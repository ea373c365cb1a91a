"""Resumable uploads: a file arrives in parts, over connections that break.

Parts come in order. After a break or a restart the sender asks for the offset and goes on
from there. Bytes become a blob of the file store when the upload is finished.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, Protocol

from stepline.errors import UploadError
from stepline.frozen import frozen
from stepline.model.values import Json
from stepline.ports.files import Blob
from stepline.ports.freed import Freed


class UnknownUpload(UploadError):
    """There is no such upload, or none any more."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(f"there is no upload {upload_id!r}", hint="begin a new one")


class UploadInUse(UploadError):
    """Somebody else is at the same upload right now."""

    def __init__(self) -> None:
        super().__init__(
            "the upload is in use by another request", hint="wait for it, then ask for the offset"
        )


class WrongOffset(UploadError):
    """A part does not begin where the last one ended.

    Args:
        given: Offset of the part, in bytes.
        offset: The right one.
    """

    def __init__(self, given: int, offset: int) -> None:
        super().__init__(
            f"the part begins at byte {given}, but {offset} bytes are here",
            hint=f"send the file from byte {offset} on",
        )
        self.offset = offset


class DigestMismatch(UploadError):
    """The bytes that arrived are not those that were sent.

    Args:
        expected: Hex digest that the sender gave.
        actual: That of the bytes here.
    """

    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(
            f"the bytes have the SHA-256 {actual}, not {expected}",
            hint="abort the upload and send the file again",
        )


@frozen
class Upload:
    """An upload, as far as it got.

    Attributes:
        id: Identifier.
        offset: Bytes that are here.
        size: Bytes that it has in all; None if the sender did not say.
        about: What the caller noted when it began.
    """

    id: str
    offset: int
    size: int | None
    about: Mapping[str, Json]


class Uploads(Protocol):
    """Uploads in progress. They survive a restart; several threads may use them."""

    def begin(self, size: int | None, about: Mapping[str, Json]) -> str:
        """Begin an upload and return its id, which cannot be guessed.

        Args:
            size: Bytes that will come; None if unknown.
            about: Plain data that `get` returns.

        Raises:
            UploadError: The size is negative.
            PlatformError: There is no place for it; retryable.
        """

    def get(self, upload_id: str) -> Upload:
        """Return an upload.

        Raises:
            UnknownUpload: There is none.
        """

    def offset(self, upload_id: str) -> int:
        """Return how many bytes are here: where the next part has to begin.

        Raises:
            UnknownUpload: There is none.
        """

    def append(
        self, upload_id: str, offset: int, *, source: BinaryIO, limit: int | None = None
    ) -> int:
        """Take in a part and return the offset behind it.

        What ``source`` gave before it raised is kept; the error is passed on.

        Args:
            upload_id: The upload.
            offset: Where the part begins.
            source: Read to its end, a mebibyte at a time.
            limit: Most bytes that the part may have.

        Raises:
            UnknownUpload: There is none.
            UploadInUse: Another part is just being taken in.
            WrongOffset: The part does not begin where the last one ended.
            UploadError: It goes beyond the limit or the upload's size, or the upload is
                finished. Nothing of the part was kept.
            PlatformError: There is no place for it; retryable from `offset` on.
        """

    def finish(self, upload_id: str, sha256: str | None = None) -> Blob:
        """Make a durable blob of the bytes. Doing so again returns the same blob.

        Args:
            upload_id: The upload; `abort` it once the blob is referred to.
            sha256: Hex digest that the bytes must have.

        Raises:
            UnknownUpload: There is none.
            UploadInUse: A part is just being taken in.
            UploadError: Bytes are missing.
            DigestMismatch: The digest is another one. The upload stays as it is.
            PlatformError: The blob cannot be kept; retryable.
        """

    def abort(self, upload_id: str) -> None:
        """Forget an upload and its bytes, but not a blob that was made of them.

        One that is unknown is forgotten already.

        Raises:
            UploadInUse: A part is just being taken in.
        """

    def delete_given_up(self, *, dry_run: bool = False) -> Freed:
        """Forget the uploads that nobody has touched for a week, as `abort` does.

        Args:
            dry_run: Whether to forget none, and only tell which would be.

        Raises:
            PlatformError: They cannot be listed.
        """

"""What file pointers and read results look like, for type checkers and readers.

At run time they are plain dicts, and a category is plain text.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Literal, TypedDict

    FileCategory = Literal["IDS", "RAW", "PROCESSED", "TMP"]

    class File(TypedDict, total=False):
        """A pointer to a file version; ``version`` is left out for the newest."""

        type: str
        bucket: str
        fileKey: str
        fileId: str
        version: str
        meta: dict[str, Any]
        customTags: list[str]
        customMetadata: dict[str, str]

    class ReadResult(TypedDict, total=False):
        """What `Context.read_file` returns; one of the last three keys is there."""

        metadata: dict[str, str]
        custom_metadata: dict[str, str]
        custom_tags: list[str]
        file: File
        body: bytes
        file_obj: BinaryIO
        download: str

else:
    FileCategory = str
    File = dict
    ReadResult = dict

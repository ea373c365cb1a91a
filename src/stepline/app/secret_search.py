"""Finding secret values in files that are about to leave.

Looked for is each value whole, in the forms in which `masking` knows it and in UTF-16; of a
value with several parts, such as a key file, its longest parts too. Compressed files and the
members of archives are looked into, one level deep.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, cast

from stepline.app.masking import SHORTEST_SECRET, encodings
from stepline.errors import UploadError
from stepline.frozen import frozen

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

_CHUNK = 4 * 1024**2
# Also where a key file is a text in JSON, with its line breaks escaped.
_BETWEEN_PARTS = re.compile(r"\\[nrt]|[\s\"'\\,;{}]")
_PART_LENGTH = 20
_PARTS = 8

# Far more than is ever pushed compressed; keeps a bomb from holding up a task for ever.
_UNPACKED_BYTES = 64 * 1024**3


@frozen
class Found:
    """A secret in a file.

    Attributes:
        secret: Its name.
        member: The archive's member that holds it; empty for the file itself.
    """

    secret: str
    member: str = ""


def find_secrets(file: IO[bytes], values: Mapping[str, str]) -> list[Found]:
    """Return the secrets whose values are in a file, each once.

    Args:
        file: Opened for reading, with `seek`.
        values: Secret values by name.

    Raises:
        UploadError: It is compressed, and cannot be looked into to its end.
    """
    needles = {name: _needles(value) for name, value in values.items()}
    found: dict[str, Found] = {}
    for member, chunks in _streams(file):
        left = {name: words for name, words in needles.items() if name not in found}
        for name in _occurring(chunks, left):
            found[name] = Found(name, member)
    return list(found.values())


def _needles(value: str) -> list[bytes]:
    parts = {part for part in _BETWEEN_PARTS.split(value) if len(part) >= _PART_LENGTH}
    longest = sorted(parts, key=len, reverse=True)[:_PARTS]
    needles = set[bytes]()
    for text in {value, value.strip(), *longest}:
        forms = (form for form in encodings(text) if len(form) >= SHORTEST_SECRET)
        needles.update(form.encode() for form in forms)
        # Without its last byte it is found in either byte order.
        needles.add(text.encode("utf-16-le")[:-1])
    return sorted(needles)


def _occurring(chunks: Iterable[bytes], needles: Mapping[str, list[bytes]]) -> list[str]:
    left = dict(needles)
    longest = max((len(word) for words in left.values() for word in words), default=0)
    found, tail = list[str](), b""
    for chunk in chunks:
        text = tail + chunk
        for name in [name for name, words in left.items() if any(word in text for word in words)]:
            found.append(name)
            del left[name]
        if not left:
            break
        tail = text[max(0, len(text) - longest + 1) :]
    return found


def _streams(file: IO[bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield a file's bytes, and those that are compressed in it, each with a member's name."""
    head = file.read(8)
    file.seek(0)
    yield "", _chunks(file)
    file.seek(0)
    if head.startswith(b"PK\x03\x04") or _has_directory(file):
        yield from _members(file)
    elif unpacked := _unpacked(file, head):
        yield "", _whole(_chunks(unpacked))


def _unpacked(file: IO[bytes], head: bytes) -> IO[bytes] | None:
    if head.startswith(b"\x1f\x8b"):
        import gzip

        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if head.startswith(b"BZh"):
        import bz2

        return bz2.BZ2File(file)
    if head.startswith(b"\xfd7zXZ\x00"):
        import lzma

        return lzma.LZMAFile(file)
    return None


def _has_directory(file: IO[bytes]) -> bool:
    """Return whether a file ends as a zip archive does, whatever it begins with."""
    from zipfile import is_zipfile

    found = is_zipfile(file)
    file.seek(0)
    return found


def _members(file: IO[bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
    from zipfile import BadZipFile, ZipFile

    try:
        archive = ZipFile(file)
    except BadZipFile as error:
        raise _closed(error) from error
    with archive:
        for info in archive.infolist():
            yield info.filename, _whole(_member(archive, info))


def _member(archive: ZipFile, info: ZipInfo) -> Iterator[bytes]:
    with archive.open(info) as member:
        yield from _chunks(member)


def _closed(error: Exception) -> UploadError:
    return UploadError(f"it is packed, and cannot be searched for secrets: {error}")


def _whole(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Pass on what is unpacked.

    Raises:
        UploadError: It cannot be unpacked to its end.
    """
    from lzma import LZMAError
    from zipfile import BadZipFile

    size = 0
    try:
        for chunk in chunks:
            size += len(chunk)
            if size > _UNPACKED_BYTES:
                raise UploadError("unpacked it is too large to be searched for secrets")
            yield chunk
    except (OSError, EOFError, zlib.error, LZMAError, BadZipFile, RuntimeError) as error:
        raise _closed(error) from error


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk

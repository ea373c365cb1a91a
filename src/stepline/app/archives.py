"""Archives of artifacts: uploaded ones to folders, safely, and folders to archives.

Source:
    PKWARE's APPNOTE 6.3, sections 4.3.7, 4.3.16 and 4.4: headers and flags of zip files.
"""

from __future__ import annotations

import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stepline.app.archive_entries import (
    MIB,
    ArchiveTooLarge,
    Caps,
    check_entries,
    refused,
    too_many_entries,
)
from stepline.app.code_store import source_files
from stepline.errors import Location, PlatformError, UploadError
from stepline.workers.folders import remove_folder

CAPS = Caps()

_END = b"PK\x05\x06"
_END_BYTES = 22
_LARGE_END = b"PK\x06\x07"
_LARGE_END_BYTES = 20
_BEGINNINGS = (b"PK\x03\x04", _END)
_COMMENT_BYTES = 65535
_DIRECTORY_BYTES_PER_ENTRY = 256
_CHUNK_BYTES = MIB
_FIRST_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
# What the standard library raises about an archive that is not what it says.
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


def unpack(archive: Path, folder: Path, *, caps: Caps = CAPS) -> None:
    """Unpack an archive that anybody may have made.

    Modes are not kept: files are readable and not executable. A folder around everything
    stays as it is.

    Args:
        archive: The zip file.
        folder: Where its content goes; not there yet, nor after an error.
        caps: Limits of the archive.

    Raises:
        ArchiveTooLarge: The archive, or what is in it, is over a limit.
        UploadError: It is no archive, is damaged, or has an entry that is refused.
        PlatformError: The folder cannot be written.
    """
    size = _check_end(archive, caps)
    try:
        with _opened(archive) as source, _new_folder(folder):
            for entry in check_entries(source.infolist(), size, caps=caps):
                _extract(source, entry, folder)
    except OSError as error:
        raise PlatformError(
            f"the archive cannot be unpacked: {error.strerror or error}",
            where=Location(str(folder)),
            hint="make room on the disk",
            retryable=True,
        ) from error


def pack(folder: Path, target: Path, *, caps: Caps = CAPS) -> int:
    """Pack a folder; the same content always gives the same entries in the same order.

    Left out is what copies of task scripts leave out: caches, environments, version
    control and ``.env`` files. Whether the owner may execute a file is kept, its times
    are not.

    Args:
        folder: The folder.
        target: The archive to write; there is none after an error.
        caps: Limits of the archive.

    Returns:
        Size of the archive, bytes.

    Raises:
        ArchiveTooLarge: The archive would be over a limit.
        ConfigError: The folder holds what is no plain file, or a link that leads to none
            within the folder.
        PlatformError: The folder cannot be read, or the archive not written.
    """
    try:
        files = list(source_files(folder))
        if len(files) > caps.entries:
            raise too_many_entries(caps)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for relative, path in files:
                _add(archive, relative, path)
        size = target.stat().st_size
        _check_size(size, caps)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise PlatformError(
            f"the folder cannot be packed: {error.strerror or error} ({error.filename})",
            where=Location(str(folder)),
        ) from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return size


def _check_end(archive: Path, caps: Caps) -> int:
    """Return the archive's size, once its last record says that it can be opened."""
    size = os.path.getsize(archive)
    _check_size(size, caps)
    with archive.open("rb") as file:
        beginning = file.read(4)
        file.seek(max(0, size - _END_BYTES - _COMMENT_BYTES))
        tail = file.read()
    if beginning not in _BEGINNINGS:
        raise UploadError("this is no zip archive", hint="pack the folder's content with zip")
    at = _end_record(tail)
    if at < 0:
        hint = "upload it again, and look whether all of it arrives"
        raise UploadError("the archive is cut off: its end is missing", hint=hint)
    count, directory = struct.unpack_from("<HI", tail, at + 10)
    large = tail[max(0, at - _LARGE_END_BYTES) : at].startswith(_LARGE_END)
    if large or count > caps.entries or directory > caps.entries * _DIRECTORY_BYTES_PER_ENTRY:
        raise too_many_entries(caps)
    return size


def _check_size(size: int, caps: Caps) -> None:
    if size > caps.archive_bytes:
        limit = caps.archive_bytes // MIB
        raise ArchiveTooLarge(
            f"the archive has {size:,} bytes; at most {limit} MiB are taken",
            hint="leave out what the functions do not need",
        )


def _end_record(tail: bytes) -> int:
    """Return where the last record begins, -1 if there is none; as the library finds it."""
    plain = len(tail) - _END_BYTES
    if plain >= 0 and tail[plain:].startswith(_END) and tail.endswith(b"\0\0"):
        return plain
    at = tail.rfind(_END)
    return at if 0 <= at <= plain else -1


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        source = zipfile.ZipFile(archive)
    except _FAULTS as fault:
        hint = "pack it anew, and look whether the upload was complete"
        raise UploadError(f"the archive is damaged: {fault}", hint=hint) from fault
    with source:
        yield source


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """Make a folder that was not there, and remove it if anything goes wrong."""
    folder.mkdir(parents=True)
    try:
        yield
    except BaseException:
        remove_folder(folder)
        raise


def _extract(source: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    """Write one file; its checksum is compared when all of it was read."""
    target = folder / entry.orig_filename
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as writing:
        try:
            with source.open(entry) as reading:
                shutil.copyfileobj(reading, writing, _CHUNK_BYTES)
        except _FAULTS as fault:
            raise refused(entry, f"it is damaged ({fault})") from fault
        if writing.tell() != entry.file_size:
            raise refused(entry, f"it has {writing.tell()} bytes, not {entry.file_size}")


def _add(archive: zipfile.ZipFile, relative: str, path: str) -> None:
    with open(path, "rb") as reading:
        status = os.fstat(reading.fileno())
        entry = zipfile.ZipInfo(relative, _FIRST_TIME)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.create_system = _UNIX
        entry.file_size = status.st_size
        executable = 0o111 if status.st_mode & stat.S_IXUSR else 0
        entry.external_attr = (stat.S_IFREG | 0o644 | executable) << 16
        try:
            with archive.open(entry, "w") as writing:
                shutil.copyfileobj(reading, writing, _CHUNK_BYTES)
        except UnicodeEncodeError:
            what = f"the name {relative!a} is not valid UTF-8"
            raise UploadError(what, hint="rename the file") from None

"""Checks of what an archive says that it holds, before any of it is written."""

from __future__ import annotations

import re
import stat
import unicodedata
import zipfile
from collections.abc import Sequence

from stepline.errors import UploadError
from stepline.frozen import frozen

MIB = 1024 * 1024

_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_PATCH = 0x20
_MAX_NAME_BYTES = 1000
_MAX_PART_BYTES = 255
_LOCAL_HEADER_BYTES = 30
# Below this, text that repeats itself may be packed as tightly as it likes.
_RATIO_FROM_BYTES = 32 * MIB


class ArchiveTooLarge(UploadError):
    """An archive, or what it would become, is over a limit."""


@frozen(kw_only=True)
class Caps:
    """Limits of an archive.

    Attributes:
        archive_bytes: Of the archive itself.
        content_bytes: Of all that it holds.
        entries: Files and folders.
        ratio: Content divided by archive, where the content is large.
    """

    archive_bytes: int = 50 * MIB
    content_bytes: int = 512 * MIB
    entries: int = 10_000
    ratio: int = 200


def check_entries(
    entries: Sequence[zipfile.ZipInfo], archive_bytes: int, *, caps: Caps
) -> list[zipfile.ZipInfo]:
    """Return the files of an archive, if each entry and all together may be unpacked.

    Args:
        entries: What the archive's directory lists.
        archive_bytes: Size of the archive.
        caps: Its limits.

    Raises:
        ArchiveTooLarge: There is too much in it.
        UploadError: An entry is refused; it is named, with the reason.
    """
    if len(entries) > caps.entries:
        raise too_many_entries(caps)
    names = _Names()
    for entry in entries:
        if reason := _name_fault(entry) or _kind_fault(entry) or names.fault(entry):
            raise refused(entry, reason)
        if not 0 <= entry.header_offset < archive_bytes:
            raise refused(entry, "it is said to lie outside the archive")
    _check_sizes(entries, archive_bytes, caps)
    files = [entry for entry in entries if not entry.is_dir()]
    if not files:
        raise UploadError("the archive holds no file", hint="pack the files of the folder")
    return files


def refused(entry: zipfile.ZipInfo, reason: str) -> UploadError:
    """Return an error that names an entry of an archive."""
    name = ascii(entry.orig_filename)
    shown = name if len(name) <= 120 else f"{name[:117]}...'"
    return UploadError(
        f"the archive's entry {shown} is refused: {reason}",
        hint="pack plain files and folders, with paths relative to the folder",
    )


def too_many_entries(caps: Caps) -> ArchiveTooLarge:
    """Return the error of an archive with too many entries."""
    return ArchiveTooLarge(
        f"the archive has more than {caps.entries:,} entries", hint="leave out what is not needed"
    )


def _name_fault(entry: zipfile.ZipInfo) -> str:
    """Return what is wrong with an entry's name, or nothing."""
    name = entry.orig_filename
    if any(unicodedata.category(character) in _CONTROL for character in name):
        return "its name has a control character"
    if "\\" in name:
        return "its name has a backslash"
    if name.startswith("/"):
        return "its name is absolute"
    if _DRIVE.match(name):
        return "its name begins with a drive letter"
    parts = name.removesuffix("/").split("/")
    if ".." in parts:
        return "its name leads out of the folder"
    if "" in parts or "." in parts:
        return "its name has an empty part, or is only a dot"
    sizes = [len(part.encode()) for part in parts]
    if max(sizes) > _MAX_PART_BYTES or sum(sizes) > _MAX_NAME_BYTES:
        return "its name is too long"
    return ""


def _kind_fault(entry: zipfile.ZipInfo) -> str:
    """Return why an entry is nothing that is unpacked, or nothing."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "it is a symbolic link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "it is a device, a pipe or a socket"
    if kind and (kind == stat.S_IFDIR) != entry.is_dir():
        return "its name and its mode do not agree on whether it is a folder"
    if entry.is_dir() and (entry.file_size or entry.compress_size > 2):
        return "it is a folder with content"
    if entry.flag_bits & _ENCRYPTED:
        return "it is encrypted"
    if entry.flag_bits & _PATCH or entry.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    ):
        return "it is packed in a way other than stored or deflated"
    return ""


class _Names:
    """The names seen so far, in the spelling under which some file systems merge them."""

    def __init__(self) -> None:
        self._spelling: dict[str, str] = {}
        self._files: set[str] = set()
        self._listed: set[str] = set()

    def fault(self, entry: zipfile.ZipInfo) -> str:
        """Return how an entry's name collides with an earlier one, or nothing."""
        path = entry.orig_filename.removesuffix("/")
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
        if folded in self._listed:
            return "there is another entry of this name, or of one that differs in case alone"
        self._listed.add(folded)
        if not entry.is_dir():
            if folded in self._spelling:
                return "there is a folder of this name too"
            self._files.add(folded)
        return self._parents_fault(path, folded)

    def _parents_fault(self, path: str, folded: str) -> str:
        spelled = path.split("/")
        parts = folded.split("/")
        for count in range(1, len(parts) + 1):
            key, said = "/".join(parts[:count]), "/".join(spelled[:count])
            if count < len(parts) and key in self._files:
                return "one of its folders is a file of the archive"
            if self._spelling.setdefault(key, said) != said:
                return "a folder of its path is spelled in two ways"
        return ""


def _check_sizes(entries: Sequence[zipfile.ZipInfo], archive_bytes: int, caps: Caps) -> None:
    content = sum(entry.file_size for entry in entries)
    if content > caps.content_bytes:
        raise ArchiveTooLarge(
            f"the archive would unpack to {content:,} bytes; "
            f"at most {caps.content_bytes // MIB} MiB are taken",
            hint="leave out data, and read it from files that are uploaded",
        )
    if content > max(_RATIO_FROM_BYTES, archive_bytes * caps.ratio):
        raise ArchiveTooLarge(
            f"the archive would unpack to {content // max(archive_bytes, 1)} times its size; "
            f"at most {caps.ratio} times are taken",
            hint="leave out data, and read it from files that are uploaded",
        )
    packed = sum(entry.compress_size + _LOCAL_HEADER_BYTES for entry in entries)
    if packed > archive_bytes:
        raise UploadError(
            "the archive's entries overlap, or are larger than the archive",
            hint="pack it anew, and look whether the upload was complete",
        )

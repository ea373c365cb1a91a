"""What is about to be pushed: private copies of the files, measured once."""

from __future__ import annotations

import hashlib
import os
import re
import shutil

from stepline_sdk.push.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NamedTuple

    from stepline_sdk.push.marks import Mark
else:
    from typing import NamedTuple

_CHUNK = 1024 * 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


class StagedFile(NamedTuple):
    """A file that is about to be pushed.

    Attributes:
        name: Its name at the platform; with folders, parted by ``/``.
        path: Where it is now.
        size: Bytes.
        sha256: Hex digits.
    """

    name: str
    path: str
    size: int
    sha256: str


class Staged(NamedTuple):
    """All that is about to be pushed.

    Attributes:
        folder: Holds just these files, under their names.
        files: The files, by name.
        mark: To be kept with what is published.
        note: What the user says of this version; empty for nothing.
    """

    folder: str
    files: dict[str, StagedFile]
    mark: Mark
    note: str

    @property
    def size(self) -> int:
        """Return the sum of the files' sizes, in bytes."""
        return sum(file.size for file in self.files.values())

    @property
    def marked_note(self) -> str:
        """Return the note with the mark after it."""
        return ("%s %s" % (self.note, self.mark)).strip()


def stage(context: Any, sources: Mapping[str, Any], folder: str) -> dict[str, StagedFile]:
    """Copy files into a folder, and measure them.

    Args:
        context: Reads file pointers.
        sources: By name at the platform: a file pointer, bytes, or a path.
        folder: An empty folder.

    Raises:
        Refused: There are none, one is empty, or a name is not usable.
    """
    if not sources:
        raise Refused("there is nothing to push: no files were given")
    for name in sources:
        _check_name(name, sources)
    staged = {}
    for name in sorted(sources):
        path = os.path.join(folder, *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _put(context, sources[name], path)
        size, sha256 = measured(path)
        if not size:
            raise Refused("there is nothing to push: %s is empty" % name)
        staged[name] = StagedFile(name, path, size, sha256)
    return staged


def measured(path: str) -> tuple[int, str]:
    """Return size in bytes and SHA-256 in hex digits of a file."""
    digest, size = hashlib.sha256(), 0
    with open(path, "rb", buffering=0) as file:
        buffer = memoryview(bytearray(_CHUNK))
        while True:
            count = file.readinto(buffer)
            if not count:
                return size, digest.hexdigest()
            digest.update(buffer[:count])
            size += count


def _check_name(name: Any, names: Mapping[str, Any]) -> None:
    if not isinstance(name, str) or not name:
        raise Refused("%r is no name of a file" % (name,))
    parts = name.split("/")
    if _CONTROL.search(name) or any(part.strip() in ("", ".", "..") for part in parts):
        raise Refused("%r cannot be the name of a file at the platform" % name)
    for end in range(1, len(parts)):
        if "/".join(parts[:end]) in names:
            raise Refused("%r cannot be a file and a folder" % "/".join(parts[:end]))


def _put(context: Any, source: Any, path: str) -> None:
    if isinstance(source, dict):
        shutil.move(context.read_file(source, form="download")["download"], path)
    elif isinstance(source, (bytes, bytearray)):
        with open(path, "xb") as file:
            file.write(source)
    elif isinstance(source, (str, os.PathLike)):
        shutil.copyfile(os.fspath(source), path)
    else:
        kind = type(source).__name__
        raise TypeError("a file to push is a file pointer, bytes or a path, not %s" % kind)

"""Tars that depend on nothing but the files in them: the same files, the same digest."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from stepline.errors import ConfigError, Location
from stepline.frozen import frozen

MTIME = 946684800
"""When all files of images were last changed: 2000-01-01, in seconds since the epoch.

The epoch itself is too early for zip archives, which programs make of such files.
"""

_BLOCK = 1 << 20


@frozen
class Entry:
    """A file, link or folder for a tar.

    Attributes:
        name: Where it goes, without a leading slash.
        path: Where it is.
        executable: Whether it may be run; None for what the file itself says.
    """

    name: str
    path: Path
    executable: bool | None = None


def write_folder(
    folder: Path, file: BinaryIO, *, prefix: str, executable: Collection[str] | None = None
) -> None:
    """Write all that is in a folder as a tar.

    Args:
        folder: The folder.
        file: Where to.
        prefix: Folder of the image that the content goes to.
        executable: Files that may be run, by their path in the folder; None for those that
            may be run now.

    Raises:
        ConfigError: A file is neither a plain file nor a link nor a folder.
    """
    write_entries(folder_entries(folder, prefix=prefix, executable=executable), file)


def folder_entries(
    folder: Path, *, prefix: str, executable: Collection[str] | None = None
) -> Iterator[Entry]:
    """Give all that is in a folder, with folder, as entries below a prefix."""
    root = prefix.strip("/")
    yield Entry(root, folder)
    for path in _all(str(folder)):
        relative = os.path.relpath(path, folder)
        runs = None if executable is None else relative in executable
        yield Entry(f"{root}/{relative}" if root else relative, Path(path), runs)


def write_entries(entries: Iterator[Entry], file: BinaryIO) -> None:
    """Write entries as a tar, sorted, with the folders that they are in.

    Owners, times and all of the modes but the right to run do not get into it.

    Args:
        entries: What to write; of entries with the same name the last counts.
        file: Where to.

    Raises:
        ConfigError: A file is neither a plain file nor a link nor a folder.
    """
    by_name = {entry.name: entry for entry in entries if entry.name}
    names = by_name.keys() | {parent for name in by_name for parent in _parents(name)}
    with tarfile.TarFile(
        fileobj=file, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8", copybufsize=_BLOCK
    ) as tar:
        for name in sorted(names, key=lambda name: name.split("/")):
            _write_entry(tar, name, by_name.get(name))


def new_member(name: str, *, mode: int = 0o644, size: int = 0) -> tarfile.TarInfo:
    """Return a member of a tar that tells of no machine and no time."""
    member = tarfile.TarInfo(name)
    member.mtime, member.mode, member.size = MTIME, mode, size
    return member


def _write_entry(tar: tarfile.TarFile, name: str, entry: Entry | None) -> None:
    found = entry.path.lstat() if entry else None
    if entry is None or found is None or stat.S_ISDIR(found.st_mode):
        member = new_member(name, mode=0o755)
        member.type = tarfile.DIRTYPE
        tar.addfile(member)
    elif stat.S_ISLNK(found.st_mode):
        member = new_member(name, mode=0o777)
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(entry.path)
        tar.addfile(member)
    elif stat.S_ISREG(found.st_mode):
        _write_file(tar, entry)
    else:
        raise ConfigError(
            f"{entry.name} is neither a file nor a link nor a folder",
            where=Location(entry.name),
            hint="images cannot hold devices, sockets and pipes: remove it",
        )


def _write_file(tar: tarfile.TarFile, entry: Entry) -> None:
    with entry.path.open("rb") as file:
        found = os.fstat(file.fileno())
        runs = bool(found.st_mode & 0o100) if entry.executable is None else entry.executable
        member = new_member(entry.name, mode=0o755 if runs else 0o644, size=found.st_size)
        tar.addfile(member, file)


def _parents(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _all(folder: str) -> Iterator[str]:
    """Give all paths below a folder, without following links."""
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        yield entry.path
        if entry.is_dir(follow_symlinks=False):
            yield from _all(entry.path)

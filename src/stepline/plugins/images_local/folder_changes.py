"""What a hook changed in the task script's folder, to be changed again in later versions."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from stepline.errors import ConfigError, Location
from stepline.frozen import frozen
from stepline.model.image import Layer
from stepline.workers.folders import remove_folder

_NEVER = 0


@frozen(kw_only=True)
class FolderChanges:
    """Changes of a folder; paths are relative to it, with slashes.

    Attributes:
        files: Layer with the new and changed files, named by their path; None without any.
        removed: Paths of what was removed.
        executable: Paths of the unchanged files that may be run; no others may, but for new
            and changed ones, whose modes `files` has.
    """

    files: Layer | None = None
    removed: tuple[str, ...] = ()
    executable: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Return every field as plain JSON."""
        return {**vars(self), "files": self.files.to_plain() if self.files else None}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> FolderChanges:
        """Rebuild changes from what `to_plain` returned."""
        files = Layer.from_plain(plain["files"]) if plain["files"] else None
        lists = {name: tuple(plain[name]) for name in ("removed", "executable")}
        return cls(files=files, **lists)

    def apply(self, folder: Path, tar: Path | None) -> None:
        """Change a copy of a task script's folder as the hook did.

        Args:
            folder: The copy.
            tar: File of the layer `files`; None without any.
        """
        for path in self.removed:
            target = folder / path
            if target.is_dir() and not target.is_symlink():
                remove_folder(target)
            else:
                target.unlink(missing_ok=True)
        if tar is not None:
            _extract(tar, folder)
        for path in self.executable:
            if folder.joinpath(path).is_file():
                folder.joinpath(path).chmod(0o755)


@frozen
class _Seen:
    """What a file was before the hook."""

    digest: str
    runs: bool


@frozen(kw_only=True)
class FolderDifference:
    """What a hook did in a folder.

    Attributes:
        changed: Paths of new and changed files, links and empty folders.
        removed: Paths of what is gone.
        executable: Paths of unchanged files that may be run now.
        inputs: Digests, before the hook, of the files that it read, changed or removed.
    """

    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    executable: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)


class WatchedFolder:
    """A writable copy of a task script's folder for a hook.

    No file of it may be run, since the platform keeps that of no file.

    Args:
        source: The folder.
        copy: Where the copy goes; nothing is there yet.
    """

    def __init__(self, source: Path, copy: Path) -> None:
        self.path = copy
        shutil.copytree(source, copy, symlinks=True)
        self._before = {path: _seen(copy / path) for path in _paths(copy)}
        for path, seen in self._before.items():
            if seen.digest:
                _forget_reading(copy / path)
        copy.chmod(0o755)
        self._tells_of_reading = _tells_of_reading(copy)

    def difference(self) -> FolderDifference:
        """Return what was done in the folder since."""
        read = set(self._read())
        after = {path: _seen(self.path / path) for path in _paths(self.path)}
        removed = [path for path in self._before if path not in after]
        changed = [
            path
            for path, seen in after.items()
            if path not in self._before or seen.digest != self._before[path].digest
        ]
        kept = [path for path in after if path in self._before and path not in changed]
        inputs = {*removed, *changed, *read} & self._before.keys()
        return FolderDifference(
            changed=tuple(sorted(changed)),
            removed=tuple(sorted(removed)),
            executable=tuple(path for path in sorted(kept) if after[path].runs),
            inputs={path: self._before[path].digest for path in sorted(inputs)},
        )

    def _read(self) -> Iterator[str]:
        """Give the paths of the files that were read since.

        Where the disk does not tell, that is every file.
        """
        for path, seen in self._before.items():
            try:
                found = self.path.joinpath(path).lstat()
            except OSError:
                continue
            if self._tells_of_reading and seen.digest and stat.S_ISREG(found.st_mode):
                if found.st_atime_ns != _NEVER:
                    yield path
            else:
                yield path


def digests(folder: Path, paths: Iterator[str] | list[str]) -> dict[str, str]:
    """Return the digests of files of a folder, empty for what is no file and not there."""
    return {path: _digest(folder / path) for path in paths}


def all_paths(folder: Path) -> list[str]:
    """Return the paths of all files, links and empty folders of a folder, sorted."""
    return sorted(_paths(folder))


def refuse_special(folder: Path) -> None:
    """Make sure that a hook left only files, links and folders.

    Raises:
        ConfigError: There is something else.
    """
    for base, folders, names in os.walk(folder):
        for path in (Path(base, name) for name in (*folders, *names)):
            kind = stat.S_IFMT(path.lstat().st_mode)
            if kind not in (stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR):
                raise ConfigError(
                    f"the hook left {path.relative_to(folder)}, which is neither a file nor a "
                    "link nor a folder",
                    where=Location("init/before_install"),
                    hint="images cannot hold devices, sockets and pipes: have the hook remove it",
                )


def _paths(folder: Path) -> Iterator[str]:
    for base, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(base, name))]
        here = os.path.relpath(base, folder)
        for name in (*names, *links):
            yield name if here == "." else f"{here}/{name}"
        if not folders and not names and here != ".":
            yield here


def _seen(path: Path) -> _Seen:
    found = path.lstat()
    return _Seen(_digest(path), stat.S_ISREG(found.st_mode) and bool(found.st_mode & 0o111))


def _digest(path: Path) -> str:
    """Return a text that tells contents apart; empty for a folder, and for nothing at all."""
    if path.is_symlink():
        return f"link:{os.readlink(path)}"
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _forget_reading(path: Path) -> None:
    if path.is_symlink():
        return
    path.chmod(0o644)
    os.utime(path, ns=(_NEVER, path.stat().st_mtime_ns))


def _tells_of_reading(folder: Path) -> bool:
    """Tell whether the disk keeps when a file was last read, for files of this folder."""
    probe = folder / ".stepline-probe"
    try:
        probe.write_text("x")
        os.utime(probe, ns=(_NEVER, probe.stat().st_mtime_ns))
        probe.read_text()
        return probe.stat().st_atime_ns != _NEVER
    finally:
        probe.unlink(missing_ok=True)


def _extract(tar: Path, folder: Path) -> None:
    import tarfile

    with tarfile.open(tar) as opened:
        for member in opened:
            target = folder / member.name
            if not member.isdir() and (target.is_symlink() or target.is_file()):
                target.unlink()
            opened.extract(member, folder, filter="tar")

"""Copies of task scripts by content, so that what runs is exactly what was recorded."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from stepline.errors import ConfigError, Location, PlatformError
from stepline.ports.use_marks import note_use

_LEFT_OUT_FOLDERS = frozenset(
    {
        ".git",
        ".hg",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".stepline",
        ".tox",
        ".venv",
        "__pycache__",
        "node_modules",
        "venv",
    }
)
_LEFT_OUT_FILES = ("*.pyc", ".env", ".env.*", "*.env", ".DS_Store")


def store_code(folder: Path, cache_dir: Path) -> tuple[str, Path]:
    """Keep a copy of a task script's folder, unless one with its content is kept.

    Left out are caches, virtual environments, version control and ``.env`` files.
    Modes are not kept: files are readable and not executable.

    A copy that was changed since it was made is made anew.

    Returns:
        The digest ``sha256:<hex>`` of the content, and the read-only copy.

    Raises:
        ConfigError: The folder holds what is no plain file, or a link that leads to none
            within the folder.
        PlatformError: The folder cannot be read or copied.
    """
    try:
        digest = content_digest(folder)
        kept = stored_code(digest, cache_dir)
        if kept is None:
            _discard(_place(digest, cache_dir))
            digest, kept = _copy(folder, cache_dir)
    except OSError as error:
        raise PlatformError(
            f"the task script cannot be copied: {error.strerror} ({error.filename})",
            where=Location(str(folder)),
            hint="free some space, or set STEPLINE_CACHE_DIR to a folder that can be written",
        ) from error
    return digest, kept


def stored_code(digest: str, cache_dir: Path) -> Path | None:
    """Return the copy with this digest, or None where there is none that still has it.

    A task that runs as the owner of the cache can write to the copy, whatever its modes
    say; so it is read before it is trusted.
    """
    kept = _place(digest, cache_dir)
    if not kept.is_dir() or not note_use(kept):
        return None
    try:
        intact = content_digest(kept) == digest and _has_nothing_else(kept)
    except (ConfigError, OSError):
        intact = False
    return kept if intact else None


def _place(digest: str, cache_dir: Path) -> Path:
    return cache_dir / "code" / digest.removeprefix("sha256:")


def _has_nothing_else(kept: Path) -> bool:
    """Tell whether all files of a copy are among those that its digest covers."""
    present = sum(len(names) for _, _, names in os.walk(kept))
    return present == sum(1 for _ in source_files(kept))


def _discard(kept: Path) -> None:
    """Remove a copy that is not what it was."""
    if not kept.is_dir():
        return
    import shutil

    aside = kept.with_name(f".changed-{os.getpid()}-{os.urandom(4).hex()}")
    kept.rename(aside)
    for base, _, _ in os.walk(aside):
        os.chmod(base, 0o700)
    shutil.rmtree(aside, ignore_errors=True)


def content_digest(folder: Path) -> str:
    """Return the digest ``sha256:<hex>`` of a folder's content, which names a copy of it.

    Raises:
        ConfigError: As `source_files`.
        OSError: The folder cannot be read.
    """
    whole = hashlib.sha256()
    for relative, path in source_files(folder):
        content = Path(path).read_bytes()
        whole.update(f"{relative}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        whole.update(content)
    return f"sha256:{whole.hexdigest()}"


def source_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Give (path within the folder, path) of all files that are kept, sorted by the former.

    Raises:
        ConfigError: The folder holds what is no plain file, or a link that leads to none
            within the folder.
        OSError: The folder cannot be read.
    """
    root = os.path.realpath(folder)
    found = []
    for base, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _LEFT_OUT_FOLDERS]
        kept = [name for name in names if not any(fnmatch(name, p) for p in _LEFT_OUT_FILES)]
        for name in (*kept, *(name for name in folders if os.path.islink(f"{base}/{name}"))):
            path = os.path.join(base, name)
            relative = os.path.relpath(path, root)
            if fault := _fault(path, root):
                what, hint = fault
                raise ConfigError(what, where=Location(str(folder / relative)), hint=hint)
            found.append((relative, path))
    return iter(sorted(found))


def _fault(path: str, root: str) -> tuple[str, str] | None:
    """Return why an entry of a task script cannot be copied, and what to do about it."""
    copy_it = "copy into the folder what the script needs"
    is_link = os.path.islink(path)
    if is_link and not os.path.realpath(path).startswith(root + os.sep):
        return f"the link leads out of the task script, to {os.path.realpath(path)}", copy_it
    try:
        mode = os.stat(path).st_mode
    except OSError:
        if not is_link:
            raise
        return "the link leads nowhere", "mend or remove it"
    if stat.S_ISDIR(mode):
        return "the link leads to a folder; only links to files are copied", copy_it
    return None if stat.S_ISREG(mode) else ("this is not a plain file", "remove it")


def _copy(folder: Path, cache_dir: Path) -> tuple[str, Path]:
    """Copy first and take the digest of the copy: the folder may change meanwhile."""
    import shutil

    code = cache_dir / "code"
    code.mkdir(parents=True, exist_ok=True)
    partial = code / f".partial-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        for relative, path in source_files(folder):
            target = partial / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            target.chmod(0o444)
        partial.mkdir(exist_ok=True)
        digest = content_digest(partial)
        kept = _place(digest, cache_dir)
        _publish(partial, kept)
        note_use(kept)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return digest, kept


def _publish(partial: Path, kept: Path) -> None:
    try:
        partial.rename(kept)
    except OSError:
        if not kept.is_dir():  # otherwise another process was faster with the same content
            raise
        return
    for base, _, _ in os.walk(kept, topdown=False):
        os.chmod(base, 0o555)

"""Packages of a lock as the files of a layer: the same lock, the same files.

uv unpacks the wheels; what it writes of this machine is taken away, and commands get the
interpreter that they find in the image.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
import sys
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from stepline.frozen import frozen
from stepline.model.image import Image
from stepline.packages.uv import CommandFailed, index_arguments, run_uv
from stepline.plugins.images_local.locking import (
    index_options,
    install_fault,
    target_arguments,
)
from stepline.workers.folders import remove_folder

# What an installer tells of itself and of the machine.
_NOISE = ("uv_cache.json", "uv_build.json", "direct_url.json")
# Folders of the file system that wheels put data into; installed beside the packages.
_SHARED = ("bin", "etc", "include", "sbin", "share")


@frozen(kw_only=True)
class Place:
    """Where in an image packages go.

    Attributes:
        runtime: Its Python, ``3.N``.
        python: Full path of its interpreter.
        site: Full path of the folder of packages.
    """

    runtime: str
    python: str
    site: str

    @classmethod
    def of(cls, image: Image) -> Place:
        """Return the place of packages in an image."""
        return cls(runtime=image.runtime, python=image.python, site=image.site)


def install_wheels(
    lock: str,
    root: Path,
    *,
    place: Place,
    folder: Path,
    environ: Mapping[str, str],
    wheels: Path | None = None,
) -> None:
    """Install the packages of a lock into a folder that stands for an image's root.

    Args:
        lock: The lock.
        root: An empty folder, which gets nothing but what the layer holds.
        place: Where in the image they go.
        folder: The task script's folder, where local files of the lock are.
        environ: Environment of the platform.
        wheels: Folder of further wheels.

    Raises:
        ConfigError: A package cannot be installed.
        PlatformError: The package index cannot be used, or a disk is full.
        OSError: The disk of the folder is full.
    """
    site = root / place.site.lstrip("/")
    site.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temporary:
        text = "\n".join([*index_options(folder), lock])
        file = Path(temporary, "requirements.txt")
        file.write_text(with_full_paths(text, folder), encoding="utf-8")
        arguments = ["pip", "install", "--target", str(site), "--requirement", str(file)]
        arguments += ["--require-hashes", "--no-deps", "--no-build"]
        arguments += [*target_arguments(place.runtime), *index_arguments(environ)]
        arguments += ["--find-links", str(wheels)] if wheels is not None else []
        try:
            run_uv(*arguments, cwd=folder, environ=environ)
        except CommandFailed as failure:
            raise install_fault(folder, failure.output) from None
    tidy(root, place)


def with_full_paths(text: str, folder: Path) -> str:
    """Return requirements whose local files are full paths."""
    root = str(folder.absolute())
    text = re.sub(r"(?m)^(?=\.{1,2}/)", f"{root}/", text)
    return re.sub(r"(?m)(^|\s)file:(?!/)", lambda found: f"{found[1]}file://{root}/", text)


def tidy(root: Path, place: Place) -> None:
    """Leave only what does not tell of this machine, and tell packages so."""
    site = root / place.site.lstrip("/")
    (site / ".lock").unlink(missing_ok=True)
    prefix = site.parents[2]
    for name in _SHARED:
        found = site / name
        if found.is_dir() and not (found / "__init__.py").exists():
            os.replace(found, prefix / name)
    for command in sorted(prefix.glob("bin/*")):
        _set_interpreter(command, place.python)
    for cache in list(site.rglob("__pycache__")):
        remove_folder(cache)
    for info in sorted(site.glob("*.dist-info")):
        for name in _NOISE:
            (info / name).unlink(missing_ok=True)
        _write_record(info / "RECORD", site, prefix)


def _set_interpreter(command: Path, python: str) -> None:
    """Have a command start with the image's interpreter in place of this machine's."""
    if command.is_symlink() or not command.is_file():
        return
    own = re.escape(sys.executable.encode())
    # The second form is for paths that the kernel takes for too long.
    pattern = rb"#!(?:\"?%s\"?|/bin/sh\n'''exec' [\"']?%s[\"']? \"\$0\" \"\$@\"\n' ''')" % (
        own,
        own,
    )
    content = command.read_bytes()
    found = re.match(pattern, content)
    if found:
        mode = command.stat().st_mode
        command.unlink()  # it may be a link to uv's cache
        command.write_bytes(b"#!" + python.encode() + content[found.end() :])
        command.chmod(mode)


def _write_record(path: Path, site: Path, prefix: Path) -> None:
    """Have a package's list of files tell what is there."""
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = sorted({row[0] for row in csv.reader(file) if row})
    own = str(path.relative_to(site))
    path.unlink()
    found = [each for name in rows for each in _installed(name, site, prefix)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        others = [(there, name) for there, name in found if name != own]
        writer.writerows([name, *_digest_and_size(there)] for there, name in others)
        writer.writerow([own, "", ""])


def _installed(name: str, site: Path, prefix: Path) -> Iterator[tuple[Path, str]]:
    """Give the file of a list's name, and what it is called in relation to the packages."""
    if (site / name).is_file():
        yield site / name, name
    elif PurePosixPath(name).parts[0] in _SHARED and (prefix / name).is_file():
        yield prefix / name, os.path.relpath(prefix / name, site)


def _digest_and_size(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        size = os.fstat(file.fileno()).st_size
    return f"sha256={urlsafe_b64encode(digest).decode().rstrip('=')}", size

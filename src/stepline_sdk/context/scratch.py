"""Bulk bytes between a task and the platform: files in the scratch folder that both see."""

from __future__ import annotations

import itertools
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, BinaryIO

CHUNK_BYTES = 1024 * 1024

_numbers = itertools.count(1)


def store(folder: str, chunks: Iterable[Any]) -> str:
    """Write chunks into a new file of a folder, and return its name.

    Args:
        folder: The scratch folder.
        chunks: Bytes, objects with a buffer, or text, which becomes UTF-8.

    Raises:
        TypeError: A chunk is none of these; no file is left.
    """
    name, file = _create(folder)
    try:
        with file:
            for chunk in chunks:
                file.write(chunk.encode("utf-8") if isinstance(chunk, str) else chunk)
    except BaseException:
        remove(folder, name)
        raise
    return name


def lend(folder: str, path: str) -> str:
    """Let the platform read a file of the task, and return its name in the scratch folder.

    Raises:
        OSError: The file cannot be read.
    """
    name = "sdk-%d-%d" % (os.getpid(), next(_numbers))
    target = os.path.join(folder, name)
    try:
        os.link(path, target)
    except OSError:
        # Another file system, as a rule: in containers the scratch folder is mounted.
        import shutil

        shutil.copyfile(path, target)
    try:
        os.chmod(target, 0o644)  # the other end may be another user; the folder is theirs
    except OSError:
        pass  # somebody else's file, which the platform can read or not
    return name


def chunks_of(stream: Any) -> Iterator[Any]:
    """Yield what a stream holds from its present position on, `CHUNK_BYTES` at a time."""
    while True:
        chunk = stream.read(CHUNK_BYTES)
        if not chunk:
            return
        yield chunk


def remove(folder: str, name: str) -> None:
    """Remove a file of the scratch folder that may be gone already."""
    try:
        os.unlink(os.path.join(folder, name))
    except OSError:
        pass


def fresh_folder(parent: str) -> str:
    """Make a new folder inside another and return its path."""
    while True:
        path = os.path.join(parent, "file-%d-%d" % (os.getpid(), next(_numbers)))
        try:
            os.makedirs(path)
        except FileExistsError:
            continue
        return path


def _create(folder: str) -> tuple[str, BinaryIO]:
    while True:
        name = "sdk-%d-%d" % (os.getpid(), next(_numbers))
        try:
            return name, open(os.path.join(folder, name), "xb")
        except FileExistsError:
            continue

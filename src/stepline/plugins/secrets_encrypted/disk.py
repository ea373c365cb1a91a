"""Changing files so that a crash, a full disk or another process never leaves half of one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stepline.errors import Location, PlatformError

LOCK_WAIT_S = 10.0
_LOCK_POLL_S = 0.01


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process, and one thread of it, in at a time.

    Args:
        path: The file whose lock is held; made, with its folder, where it is missing.

    Raises:
        PlatformError: It cannot be locked, or was not free within 10 seconds.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise _failed(path, error) from error
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    import fcntl

    end = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise PlatformError(
                    f"another process has held this lock for over {LOCK_WAIT_S:g} s",
                    where=Location(str(path)),
                    hint="end the process that changes secrets, or try again",
                    retryable=True,
                ) from None
        except OSError as error:
            raise _failed(path, error) from error
        time.sleep(_LOCK_POLL_S)


def read_file(path: Path) -> bytes | None:
    """Return a file's content; None where there is none.

    Raises:
        PlatformError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed(path, error) from error


def replace_file(path: Path, content: bytes) -> None:
    """Put a content, whole and durable, in the place of a file's; only its owner may read it.

    The caller holds the lock of the folder.

    Raises:
        PlatformError: It cannot; the file is as it was.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)  # of a process that was killed
        _write(partial, content)
        os.replace(partial, path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise _failed(path, error) from error


def _write(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(path: Path, error: OSError) -> PlatformError:
    return PlatformError(
        f"the secrets cannot be read or stored: {error.strerror or error}",
        where=Location(str(path)),
        hint="see that the folder is writable and the disk is not full, and try again",
        retryable=True,
    )

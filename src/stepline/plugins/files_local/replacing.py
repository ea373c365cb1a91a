"""A new folder in the place of an old one; whatever fails, the old one comes back."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from stepline.errors import PlatformError
from stepline.frozen import frozen
from stepline.plugins.files_local.disk import disk_error

OWN = ".stepline."
"""How names begin that are ours for a while in a folder that is filled in place."""

# What renaming a folder says on a mount point, in an image's layer, in a sticky folder.
_IMMOVABLE = (errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES)
_OF_THE_DISK = ("lost+found",)


@frozen
class Place:
    """Where a folder for results is, and how it can be written.

    Attributes:
        final: The folder, links resolved.
        in_place: Whether it is filled, because it cannot be exchanged as a whole.
    """

    final: str
    in_place: bool

    @classmethod
    def of(cls, out: str) -> Place:
        """Return the place of the folder that a user named; it need not exist."""
        final = os.path.realpath(out)
        fixed = os.path.ismount(final) or not _is_writable(os.path.dirname(final))
        return cls(final, in_place=os.path.isdir(final) and fixed)

    @property
    def home(self) -> str:
        """The folder that new entries are made in."""
        return self.final if self.in_place else os.path.dirname(self.final)

    @property
    def prefix(self) -> str:
        """How the names of these entries begin."""
        return OWN if self.in_place else f".{os.path.basename(self.final)}."

    def is_writable(self) -> bool:
        """Return whether entries can be made there; a missing folder is made."""
        home = self.home
        while not os.path.lexists(home):
            home = os.path.dirname(home)
        return os.path.isdir(home) and _is_writable(home)

    def new_folder(self) -> str:
        """Return a new folder for what is to come in its place."""
        for number in itertools.count():
            path = os.path.join(self.home, f"{self.prefix}partial-{os.getpid()}-{number}")
            with suppress(FileExistsError):
                os.mkdir(path)
                return path
        raise AssertionError("numbers do not end")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs from exchanging the folder meanwhile.

        The lock is a file of its own, which goes with the lock: folders are locked by
        others for reasons of theirs.

        Raises:
            PlatformError: The file cannot be made.
        """
        path = os.path.join(self.home, f"{self.prefix}lock")
        try:
            descriptor = locked_file(path)
        except OSError as error:
            raise disk_error(error, f"'{self.final}' cannot be written") from error
        try:
            yield
        finally:
            with suppress(OSError):
                os.unlink(path)
            os.close(descriptor)

    def put(self, new: str) -> None:
        """Put a folder that `new_folder` made in the place; the old one is removed.

        Raises:
            OSError: It cannot be done; all is as it was.
            PlatformError: Nor could the old one be brought back; it says where that is.
        """
        if self.in_place:
            fill(new, self.final)
            return
        try:
            _exchange(new, self.final)
        except OSError as error:
            if error.errno not in _IMMOVABLE or not os.path.isdir(self.final):
                raise
            _fill_with_copy(new, self.final)


def fill(new: str, final: str) -> None:
    """Exchange what is in a folder for what is in a new one inside it.

    Raises:
        OSError: It cannot be done; the folder is as it was.
    """
    fresh, old = os.listdir(new), f"{new}-old"
    os.mkdir(old)
    try:
        for name in _exchangeable(final):
            os.rename(os.path.join(final, name), os.path.join(old, name))
        for name in fresh:
            os.rename(os.path.join(new, name), os.path.join(final, name))
    except BaseException:
        with _bringing_back(old):
            _move_back(fresh, source=final, target=new)
            _move_back(os.listdir(old), source=old, target=final)
            os.rmdir(old)
        raise
    remove(old)
    remove(new)


def remove(folder: str) -> None:
    """Remove a folder as far as can be, even if it is interrupted."""
    if os.path.isdir(folder):
        import shutil

        try:
            shutil.rmtree(folder, ignore_errors=True)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def locked_file(path: str) -> int:
    """Return the descriptor of a locked file that has this path, made where it is missing.

    It waits for whoever has it locked; closing the descriptor unlocks it.

    Raises:
        OSError: The file cannot be made.
    """
    import fcntl

    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            # Not every file system has locks; without one, only a race is lost.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Who had it before has removed it, as a rule.
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _exchange(new: str, final: str) -> None:
    old = f"{new}-old"
    try:
        if os.path.isdir(final):
            os.rename(final, old)
        os.rename(new, final)
    finally:
        # Looked up rather than remembered: an interrupt may come between any two lines.
        if os.path.lexists(old) and os.path.lexists(new):
            with _bringing_back(old):
                os.rename(old, final)
        remove(old)


def _fill_with_copy(new: str, final: str) -> None:
    """Fill a folder that may be on another file system."""
    import shutil

    inner = os.path.join(final, f"{OWN}partial-{os.getpid()}")
    try:
        shutil.copytree(new, inner, symlinks=True)
        fill(inner, final)
    except shutil.Error as error:
        raise OSError(errno.EIO, str(error), final) from error
    finally:
        remove(inner)


def _exchangeable(final: str) -> list[str]:
    names = os.listdir(final)
    return [name for name in names if not name.startswith(OWN) and name not in _OF_THE_DISK]


def _move_back(names: list[str], *, source: str, target: str) -> None:
    for name in names:
        here, there = os.path.join(source, name), os.path.join(target, name)
        if os.path.lexists(here) and not os.path.lexists(there):
            os.rename(here, there)


@contextmanager
def _bringing_back(old: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PlatformError(
            f"earlier results could not be put back: {error.strerror}",
            hint=f"they are in '{old}'",
        ) from error


def _is_writable(folder: str) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)

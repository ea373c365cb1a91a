"""Removal of folders."""

from __future__ import annotations

import os
from contextlib import suppress


def remove_folder(path: str | os.PathLike[str]) -> None:
    """Remove a folder with all that is in it, as far as that can be done.

    Of a link, only the link itself is removed.

    The standard library's way imports three compression libraries, a tenth of a short
    command's time.
    """
    if os.path.islink(path):
        with suppress(OSError):
            os.unlink(path)
        return
    _remove(path)
    if os.path.lexists(path):
        _open_up(path)
        _remove(path)


def _remove(path: str | os.PathLike[str]) -> None:
    for base, folders, names in os.walk(path, topdown=False):
        for name in names:
            with suppress(OSError):
                os.unlink(os.path.join(base, name))
        for name in folders:
            entry = os.path.join(base, name)
            with suppress(OSError):
                (os.unlink if os.path.islink(entry) else os.rmdir)(entry)
    with suppress(OSError):
        os.rmdir(path)


def _open_up(path: str | os.PathLike[str]) -> None:
    """Undo the modes that keep the owner out of folders."""
    if os.path.islink(path):
        return
    with suppress(OSError):
        os.chmod(path, 0o700)
        for entry in list(os.scandir(path)):
            if entry.is_dir(follow_symlinks=False):
                _open_up(entry.path)

"""What went wrong with a disk, in words for the person who can mend it."""

from __future__ import annotations

import errno

from stepline.errors import PlatformError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def disk_error(error: OSError, what: str, *, retryable: bool = False) -> PlatformError:
    """Return an error that says what could not be done, why, and what to do about it.

    Args:
        error: What the operating system said.
        what: What could not be done, as a sentence.
        retryable: Whether it may go well another time.
    """
    path = f": '{error.filename}'" if error.filename else ""
    return PlatformError(
        f"{what}{path}: {error.strerror or error}", hint=_hint(error.errno), retryable=retryable
    )


def _hint(number: int | None) -> str:
    if number in _FULL:
        return "make room on the disk, or use a folder on another one"
    if number in _FORBIDDEN:
        return "look at the permissions of the folder, or use another one"
    return "look at the folder and its disk, or use another one"

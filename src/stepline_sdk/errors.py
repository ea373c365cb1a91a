"""Exceptions that a task script may meet, and how the platform's refusals become them."""

from __future__ import annotations


class CallError(Exception):
    """The platform refused a call, or could not do it.

    Args:
        type: Name of the kind of error, such as ``ValueError``.
        message: What is wrong, in words for the author of the task script.
    """

    def __init__(self, type: str, message: str) -> None:
        super().__init__(message)
        self.type = type
        self.message = message


class FatalError(SystemExit):
    """Ends the task for good, with exit code 126; ``except Exception`` does not catch it."""

    EXIT_CODE = 126

    def __init__(self, message: str = "No message") -> None:
        super().__init__(message)
        self.message = message
        self.code = self.EXIT_CODE


class ConcurrentModificationError(Exception):
    """A conditional write lost: the file is no longer what the caller had seen."""

    def __init__(self, message: str = "the file was modified by somebody else") -> None:
        super().__init__(message)
        self.message = message


class InvalidFileCategoryError(Exception):
    """A task script may not write files of this category."""


class InvalidPathException(Exception):
    """A file name leads to a place where no file can be."""


class NoAllowedIdsSpecified(Exception):
    """config.json has no ``allowedIds`` for the function."""


class IDSNotAllowed(Exception):
    """config.json does not allow the function this IDS."""


class IDSInvalidWrite(Exception):
    """The function may write no IDS, or it is open which of several."""


class IDSValidateWrongParams(Exception):
    """`validate_ids` was told a part of an IDS, or none where that is not enough."""


class IDSInvalidData(ValueError):
    """Data does not follow its IDS."""


class NotAvailableError(NotImplementedError):
    """The call needs a service that this platform does not have."""


class PlatformError(RuntimeError):
    """The platform failed; the task script is not at fault."""


_PUBLIC = (
    ConcurrentModificationError,
    InvalidFileCategoryError,
    InvalidPathException,
    NoAllowedIdsSpecified,
    IDSNotAllowed,
    IDSInvalidWrite,
    IDSValidateWrongParams,
    IDSInvalidData,
    NotAvailableError,
    PlatformError,
    ConnectionError,
    FileNotFoundError,
    KeyError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
)
_BY_NAME = {error.__name__: error for error in _PUBLIC}


def public_error(error: CallError) -> Exception:
    """Return the exception that a task script is to see for a refused call.

    Types that the sdk does not know, of a newer platform perhaps, become `PlatformError`.
    """
    return _BY_NAME.get(error.type, PlatformError)(error.message)

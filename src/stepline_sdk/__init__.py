"""What a task script imports, and what runs a task where the platform is absent.

Standard library only, in the syntax of Python 3.7. Names are imported when they
are first used: a worker's start costs milliseconds.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stepline_sdk.allowed_ids import AllowedIds as AllowedIds
    from stepline_sdk.context import Context as Context
    from stepline_sdk.errors import ConcurrentModificationError as ConcurrentModificationError
    from stepline_sdk.errors import FatalError as FatalError
    from stepline_sdk.errors import IDSInvalidData as IDSInvalidData
    from stepline_sdk.errors import IDSInvalidWrite as IDSInvalidWrite
    from stepline_sdk.errors import IDSNotAllowed as IDSNotAllowed
    from stepline_sdk.errors import IDSValidateWrongParams as IDSValidateWrongParams
    from stepline_sdk.errors import InvalidFileCategoryError as InvalidFileCategoryError
    from stepline_sdk.errors import InvalidPathException as InvalidPathException
    from stepline_sdk.errors import NoAllowedIdsSpecified as NoAllowedIdsSpecified
    from stepline_sdk.errors import NotAvailableError as NotAvailableError
    from stepline_sdk.errors import PlatformError as PlatformError
    from stepline_sdk.experiments import Experiment as Experiment
    from stepline_sdk.files import File as File
    from stepline_sdk.files import FileCategory as FileCategory
    from stepline_sdk.files import ReadResult as ReadResult
    from stepline_sdk.labels import Label as Label
    from stepline_sdk.log import Log as Log
    from stepline_sdk.log_codes import LogCode as LogCode
    from stepline_sdk.log_codes import LogCodes as LogCodes

__version__ = "0.1.0"

__all__ = [
    "AllowedIds",
    "ConcurrentModificationError",
    "Context",
    "Experiment",
    "FatalError",
    "File",
    "FileCategory",
    "IDSInvalidData",
    "IDSInvalidWrite",
    "IDSNotAllowed",
    "IDSValidateWrongParams",
    "InvalidFileCategoryError",
    "InvalidPathException",
    "Label",
    "Log",
    "LogCode",
    "LogCodes",
    "NoAllowedIdsSpecified",
    "NotAvailableError",
    "PlatformError",
    "ReadResult",
]

_HOMES = {
    "Context": "stepline_sdk.context",
    "Label": "stepline_sdk.labels",
    "File": "stepline_sdk.files",
    "FileCategory": "stepline_sdk.files",
    "ReadResult": "stepline_sdk.files",
    "AllowedIds": "stepline_sdk.allowed_ids",
    "Log": "stepline_sdk.log",
    "LogCode": "stepline_sdk.log_codes",
    "LogCodes": "stepline_sdk.log_codes",
    "Experiment": "stepline_sdk.experiments",
    "ConcurrentModificationError": "stepline_sdk.errors",
    "FatalError": "stepline_sdk.errors",
    "IDSInvalidData": "stepline_sdk.errors",
    "IDSInvalidWrite": "stepline_sdk.errors",
    "IDSNotAllowed": "stepline_sdk.errors",
    "IDSValidateWrongParams": "stepline_sdk.errors",
    "InvalidFileCategoryError": "stepline_sdk.errors",
    "InvalidPathException": "stepline_sdk.errors",
    "NoAllowedIdsSpecified": "stepline_sdk.errors",
    "NotAvailableError": "stepline_sdk.errors",
    "PlatformError": "stepline_sdk.errors",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])

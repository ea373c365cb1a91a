"""What published task scripts import to run."""

from stepline_sdk.context import Context
from stepline_sdk.errors import ConcurrentModificationError
from stepline_sdk.experiments import Experiment
from stepline_sdk.files import File, FileCategory, ReadResult
from stepline_sdk.labels import Label

__all__ = [
    "ConcurrentModificationError",
    "Context",
    "Experiment",
    "File",
    "FileCategory",
    "Label",
    "ReadResult",
]

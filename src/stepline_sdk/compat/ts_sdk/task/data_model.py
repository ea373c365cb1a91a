"""Types of files and labels."""

from stepline_sdk.files import File, FileCategory, ReadResult
from stepline_sdk.labels import Label

__all__ = ["File", "FileCategory", "Label", "ReadResult"]

"""The codes that every task script may use."""

from stepline_sdk.log_codes import LogCodes as LogCodeCollection

__all__ = ["LogCodeCollection"]

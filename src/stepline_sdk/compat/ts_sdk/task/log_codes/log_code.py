"""The type of a log code."""

from stepline_sdk.log_codes import LogCode

__all__ = ["LogCode"]

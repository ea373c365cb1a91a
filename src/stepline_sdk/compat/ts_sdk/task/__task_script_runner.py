"""Where published task scripts find the type of their context."""

from stepline_sdk.context import Context

__all__ = ["Context"]

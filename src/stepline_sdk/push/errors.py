"""How a push ends when it does not end well, and what destinations say in the midst of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stepline_sdk.push.destination import Published


class PushError(Exception):
    """A push did not end verified; one of the two kinds below."""


class NotPublished(PushError):
    """Nothing was published."""


class Unverified(PushError):
    """Something was or may have been published, and could not be verified.

    Attributes:
        published: What is there; None where that is not known.
    """

    def __init__(self, message: str, published: Published | None = None) -> None:
        super().__init__(message)
        self.published = published


class Refused(Exception):
    """A check or the platform says no, for good; the text has the platform's own words."""


class TryAgain(Exception):
    """The platform cannot be reached, or is busy.

    Args:
        message: What is wrong, with the platform's own words.
        after_s: Seconds that the platform asks to wait; None where it does not say.
        clear: Whether it is certain that the platform did not take what was sent.
    """

    def __init__(self, message: str, after_s: float | None = None, *, clear: bool = False) -> None:
        super().__init__(message)
        self.after_s = after_s
        self.clear = clear

"""What a removal made room for."""

from __future__ import annotations

from stepline.frozen import frozen


@frozen
class Freed:
    """What was removed, or would be.

    Attributes:
        count: How many things.
        bytes: Their sizes together.
    """

    count: int = 0
    bytes: int = 0

    def __add__(self, other: Freed) -> Freed:
        """Return both together."""
        return Freed(self.count + other.count, self.bytes + other.bytes)

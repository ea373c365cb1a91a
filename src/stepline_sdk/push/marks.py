"""The mark that a push leaves at the platform, by which a retry knows it again.

It is kept with the version itself: in its notes, its commit's message, its tags, or wherever
the platform has room for text.
"""

from __future__ import annotations

import hashlib
import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_MARK = re.compile(r"\[stepline push=([0-9a-f]{32}) content=([0-9a-f]{32})\]")


class Mark:
    """What one push is known by.

    Args:
        key: The same for each try of one push, 32 hex digits.
        content: The same for the same content, whoever pushes it, 32 hex digits.
    """

    __slots__ = ("content", "key")

    def __init__(self, key: str, content: str) -> None:
        self.key = key
        self.content = content

    def __str__(self) -> str:
        return "[stepline push=%s content=%s]" % (self.key, self.content)

    def __repr__(self) -> str:
        return "Mark(%r, %r)" % (self.key, self.content)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mark):
            return NotImplemented
        return (self.key, self.content) == (other.key, other.content)

    def __hash__(self) -> int:
        return hash((self.key, self.content))


def find_mark(text: str | None) -> Mark | None:
    """Return the last mark in a text, or None."""
    found = _MARK.findall(text or "")
    return Mark(*found[-1]) if found else None


def make_mark(
    workflow_id: str,
    place: Sequence[str],
    *,
    about: Mapping[str, Any],
    files: Sequence[tuple[str, str]],
) -> Mark:
    """Return the mark of a push.

    Args:
        workflow_id: The workflow that pushes.
        place: Kind and reference of the destination.
        about: What is published beside the files.
        files: Name and SHA-256 of each.
    """
    content = _digest([dict(about), sorted(files)])
    return Mark(_digest([workflow_id, list(place), content]), content)


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]

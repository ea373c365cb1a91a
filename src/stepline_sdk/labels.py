"""Labels: searchable names and values on files."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Union

    AnyLabel = Union["Label", Dict[str, str]]


class Label:
    """A name and a value on a file.

    Args:
        name: At most 128 characters.
        value: At most 256 characters.
    """

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Label):
            return NotImplemented
        return (self.name, self.value) == (other.name, other.value)

    def __hash__(self) -> int:
        return hash((self.name, self.value))

    def __repr__(self) -> str:
        return "Label(name=%r, value=%r)" % (self.name, self.value)

"""The tree of an expression: literals, references and calls, nothing else.

A reference holds its whole path, so a tree is only as deep as its calls are nested.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias, Union

from stepline.frozen import frozen

Json: TypeAlias = Union[None, bool, int, float, str, "list[Json]", "dict[str, Json]"]
Primitive: TypeAlias = None | bool | int | float | str


@frozen
class Literal:
    """A value written out; `offset` is where it starts in the expression's text."""

    value: Primitive
    offset: int


@frozen
class Key:
    """One access, ``.name``, ``['name']`` or ``[0]``, and where it starts."""

    value: str | int | float
    offset: int


@frozen
class Reference:
    """A root and the accesses below it, such as ``steps['a'].output.x``."""

    root: str
    keys: tuple[Key, ...]
    offset: int


@frozen
class Call:
    """A function of the library with its arguments."""

    function: str
    arguments: tuple[Node, ...]
    offset: int


Node: TypeAlias = Literal | Reference | Call


def references(node: Node) -> Iterator[Reference]:
    """Yield every reference of a tree, from left to right."""
    if isinstance(node, Reference):
        yield node
    elif isinstance(node, Call):
        for argument in node.arguments:
            yield from references(argument)

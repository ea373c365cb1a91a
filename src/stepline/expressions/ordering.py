"""An order in which everything comes after what it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence


class Cycle(Exception):
    """Names need one another in a circle.

    Args:
        names: The circle; the last one needs the first.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(" → ".join([*names, names[0]]))
        self.names = tuple(names)


def dependency_order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return all names so that each comes after those it needs.

    Args:
        needs: For each name, the names it needs; unknown ones do not count.

    Raises:
        Cycle: There is no such order.
    """
    done: dict[str, None] = {}
    for name in needs:
        _visit(name, needs, done)
    return list(done)


def _visit(name: str, needs: Mapping[str, Sequence[str]], done: dict[str, None]) -> None:
    """Add a name after all it needs, without recursion: chains may be long."""
    path: dict[str, Iterator[str]] = {}
    current = name
    while current not in done:
        pending = path.setdefault(current, iter(needs[current]))
        needed = next((other for other in pending if other in needs and other not in done), None)
        if needed is None:
            done[current] = None
            path.popitem()
            current = next(reversed(path), current)
        elif needed in path:
            names = list(path)
            raise Cycle(names[names.index(needed) :])
        else:
            current = needed

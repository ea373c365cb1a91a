"""Which states of files were taken, as far as this process remembers."""

from __future__ import annotations

from stepline.ports.watcher import FoundFile

_GENERATION = 250_000


class Delivered:
    """Remembers at least the last files, at some 60 bytes each.

    Args:
        generation: So many at least; twice as many at most.
    """

    def __init__(self, generation: int = _GENERATION) -> None:
        self._generation = generation
        self._young: set[int] = set()
        self._old: set[int] = set()

    def add(self, file: FoundFile) -> None:
        """Remember a file that was taken."""
        self._keep(hash(file))

    def __contains__(self, file: FoundFile) -> bool:
        # 64 bits, salted anew in each process: two files of a million share them once in
        # some ten million processes.
        number = hash(file)
        if number in self._young:
            return True
        if number not in self._old:
            return False
        self._keep(number)
        return True

    def _keep(self, number: int) -> None:
        if len(self._young) >= self._generation:
            self._old, self._young = self._young, set()
        self._young.add(number)

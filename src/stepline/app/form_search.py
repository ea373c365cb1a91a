"""Finding any of thousands of words in a text, in time that the text's length sets.

A secret of 900 lines has over ten thousand forms. A regular expression of them all is
tried word by word at every place of a text; here a place is looked at only if six
characters there begin a word, and the words are then found by bisection.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

PREFIX = 6


class FormSearch:
    """Words to be found, each of at least six characters.

    Args:
        forms: The words; at least one.
    """

    def __init__(self, forms: Iterable[str]) -> None:
        self._forms = sorted(forms)
        self._shorter = _longest_prefixes(self._forms)
        self._prefixes = {form[:PREFIX] for form in self._forms}
        self._longest = max(map(len, self._forms))
        self._candidates = _candidates(self._prefixes)

    def find(self, text: str, *, end: int | None = None) -> Iterator[tuple[int, int]]:
        """Give start and end of each word in a text, the longest where several begin.

        Args:
            text: The text.
            end: Words that begin here or later are not wanted.
        """
        done = 0
        for start in self._starts(text, 0):
            if end is not None and start >= end:
                return
            if start >= done and (length := self._length_at(text, start)):
                done = start + length
                yield start, done

    def open_from(self, text: str) -> int:
        """Return the first place where a word begins that the text may yet go on with."""
        first = max(0, len(text) - self._longest + 1)
        for start in self._starts(text, first):
            if self._goes_on(text[start:]):
                return start
        # Tails that are shorter than any word.
        for start in range(max(first, len(text) - PREFIX + 1), len(text)):
            if self._goes_on(text[start:]):
                return start
        return len(text)

    def _starts(self, text: str, first: int) -> Iterator[int]:
        """Give the places where the first characters of a word stand."""
        for match in self._candidates.finditer(text, first):
            start = match.start()
            if text[start : start + PREFIX] in self._prefixes:
                yield start

    def _length_at(self, text: str, start: int) -> int:
        """Return the length of the longest word that begins at a place, or 0.

        What begins the text from there sorts before it, and all between the two begins
        with it too: so the last word not after the text begins with every such word.
        """
        index = bisect_right(self._forms, text[start : start + self._longest]) - 1
        while index >= 0:
            if text.startswith(self._forms[index], start):
                return len(self._forms[index])
            index = self._shorter[index]
        return 0

    def _goes_on(self, tail: str) -> bool:
        """Return whether a word begins with a text, and is longer."""
        index = bisect_right(self._forms, tail)
        return index < len(self._forms) and self._forms[index].startswith(tail)


def _longest_prefixes(forms: list[str]) -> list[int]:
    """Return, for each of some sorted words, where the longest is that it begins with, or -1."""
    found: list[int] = []
    for index, form in enumerate(forms):
        shorter = index - 1
        while shorter >= 0 and not form.startswith(forms[shorter]):
            shorter = found[shorter]
        found.append(shorter)
    return found


def _candidates(prefixes: Iterable[str]) -> re.Pattern[str]:
    """Return what matches, without length, where each character begins some word."""
    columns = zip(*prefixes, strict=True)
    classes = ("".join(map(re.escape, sorted(set(column)))) for column in columns)
    return re.compile("(?=" + "".join(f"[{characters}]" for characters in classes) + ")")

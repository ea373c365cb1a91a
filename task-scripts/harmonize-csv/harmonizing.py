"""From one file to another: the rows of a table, each value made what it is to be."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import IO, NamedTuple

from columns import Column
from tables import Layout, Row, open_table

MOST_PROBLEMS = 20


class Rules(NamedTuple):
    """What is to become of a file.

    Attributes:
        columns: The columns of the result, in their order.
        constants: Columns with the same value in each row; they come last.
        missing: Words that stand for no value, in lower case; an empty cell does anyway.
        layout: Where the table is.
        drop_bad_values: Whether a value that cannot be converted counts as missing.
    """

    columns: Sequence[Column]
    constants: Mapping[str, str]
    missing: frozenset[str]
    layout: Layout
    drop_bad_values: bool = False


class Outcome(NamedTuple):
    """What came of a file.

    Attributes:
        rows: How many there are.
        missing: How many values are missing, by column.
        bad: How many of them could not be converted, by column.
        problems: The first of those, in words that begin with the line.
    """

    rows: int
    missing: dict[str, int]
    bad: dict[str, int]
    problems: list[str]


class HarmonizeError(ValueError):
    """The file is not what its rules expect; the text has each fault with its line."""


def harmonize_table(source: IO[str], target: IO[str], rules: Rules) -> Outcome:
    """Write the table of a file in its new form.

    Args:
        source: Opened with ``newline=""``.
        target: Gets CSV with a header.
        rules: What is to become of it.

    Raises:
        HarmonizeError: The table is not found, or a value cannot be converted.
    """
    work = _Work(rules)
    try:
        header, rows = open_table(source, rules.layout, [each.sources for each in rules.columns])
        work.find(header)
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow([*(each.name for each in rules.columns), *rules.constants])
        for row in rows:
            writer.writerow([*work.values(row), *rules.constants.values()])
    except (ValueError, UnicodeError) as error:
        raise HarmonizeError(str(error)) from error
    if not work.rows:
        raise HarmonizeError(f"there are no rows below the header in line {header.line}")
    work.check()
    return Outcome(work.rows, dict(work.missing), dict(work.bad), work.problems)


class _Work:
    def __init__(self, rules: Rules) -> None:
        self.rows = 0
        self.missing: Counter[str] = Counter()
        self.bad: Counter[str] = Counter()
        self.problems: list[str] = []
        self._fatal = 0
        self._rules = rules
        self._places: list[tuple[Column, str, int]] = []
        self._width = 0

    def find(self, header: Row) -> None:
        """Find the columns in the header."""
        self._width = len(header.cells)
        for column in self._rules.columns:
            name = next(name for name in column.sources if name in header.cells)
            if header.cells.count(name) > 1:
                raise ValueError(f"line {header.line}: the column '{name}' is there twice")
            self._places.append((column, name, header.cells.index(name)))

    def values(self, row: Row) -> list[str]:
        """Return the values of a row; empty for those that are missing."""
        self.rows += 1
        if len(row.cells) > self._width and any(row.cells[self._width :]):
            self._note(f"line {row.line}: {len(row.cells)} cells for {self._width} columns")
        return [self._value(row, *place) for place in self._places]

    def check(self) -> None:
        """Raise what is wrong with the file, if anything."""
        if not self._fatal:
            return
        more = self._fatal - len(self.problems)
        rest = [f"and {more} more"] if more > 0 else []
        raise HarmonizeError("\n".join([*self.problems, *rest]))

    def _value(self, row: Row, column: Column, name: str, index: int) -> str:
        text = row.cells[index] if index < len(row.cells) else ""
        if not text or text.lower() in self._rules.missing:
            self.missing[column.name] += 1
            if column.required:
                self._note(f"line {row.line}, column '{name}': the value is missing")
            return ""
        try:
            return column.convert(text)
        except ValueError as error:
            return self._bad_value(f"line {row.line}, column '{name}': {error}", column)

    def _bad_value(self, words: str, column: Column) -> str:
        if column.required or not self._rules.drop_bad_values:
            self._note(words)
            return ""
        self.missing[column.name] += 1
        self.bad[column.name] += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(words)
        return ""

    def _note(self, words: str) -> None:
        self._fatal += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(words)

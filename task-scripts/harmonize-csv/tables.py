"""Reading an instrument's CSV file: where its table is, and what it holds."""

import codecs
import csv
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

DELIMITERS = (",", ";", "\t", "|")
HEADER_WITHIN = 200  # lines
LONGEST_FIELD = 2**20  # characters

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        line: Where it ends in the file, from 1.
        cells: Its texts, without space around them.
    """

    line: int
    cells: list[str]


class Layout(NamedTuple):
    """Where the table is.

    Attributes:
        delimiter: What parts the cells; None to find out.
        header_line: The line with the names, from 1; None to find out.
        end: The text with which the first line after the table begins; empty: it ends with
            the file.
    """

    delimiter: str | None = None
    header_line: int | None = None
    end: str = ""


def encoding_of(path: str, given: str) -> str:
    """Return a file's encoding: by its mark, else the given one.

    Raises:
        ValueError: The given one is not known.
    """
    with open(path, "rb") as file:
        head = file.read(4)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    try:
        return codecs.lookup(given).name
    except LookupError:
        raise ValueError(f"input 'encoding': '{given}' is not known") from None


def open_table(
    file: IO[str], layout: Layout, wanted: Sequence[Sequence[str]]
) -> tuple[Row, Iterator[Row]]:
    """Return a table's header, and its rows as they are read.

    Args:
        file: Opened with ``newline=""``.
        layout: What is known of the table.
        wanted: Of each column that must be there the names that it may have.

    Raises:
        ValueError: The header is not found.
    """
    header, delimiter = _header(file, layout, wanted)
    file.seek(0)
    csv.field_size_limit(LONGEST_FIELD)
    for _ in range(header.line):
        file.readline()
    return header, _rows(file, delimiter, layout.end, after=header.line)


def _header(file: IO[str], layout: Layout, wanted: Sequence[Sequence[str]]) -> tuple[Row, str]:
    delimiters = [layout.delimiter] if layout.delimiter else list(DELIMITERS)
    best: tuple[int, str] = (0, "")
    for number in range(1, HEADER_WITHIN + 1):
        line = file.readline()
        if not line:
            break
        if layout.header_line not in (None, number):
            continue
        for delimiter in delimiters:
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
            missing = [names for names in wanted if not set(names) & set(cells)]
            if not missing:
                return Row(number, cells), delimiter
            found = len(wanted) - len(missing)
            if found > best[0]:
                words = " or ".join(f"'{name}'" for name in missing[0])
                best = (found, f"line {number} comes nearest, and lacks {words}")
    place = (
        f"line {layout.header_line}" if layout.header_line else f"the first {HEADER_WITHIN} lines"
    )
    detail = best[1] or "none of the names is there"
    raise ValueError(f"no header with all columns in {place}: {detail}")


def _rows(file: IO[str], delimiter: str, end: str, *, after: int) -> Iterator[Row]:
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            plain = [cell.strip() for cell in cells]
            if end and plain and plain[0].startswith(end):
                return
            if any(plain):
                yield Row(after + reader.line_num, plain)
    except csv.Error as error:
        raise ValueError(f"line {after + reader.line_num}: {error}") from error

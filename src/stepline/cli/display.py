"""What commands print: JSON for machines, plain lines elsewhere, tables on a terminal."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import click

_LAST_COLUMN = 40


def show_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_table(titles: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows: drawn as a table on a terminal, else a line each with aligned columns.

    Args:
        titles: Names of the columns, shown on a terminal only.
        rows: Values of the columns.
        empty: What is said, to standard error, when there is no row.
    """
    texts = [[printable(cell) for cell in row] for row in rows]
    if not texts:
        click.echo(empty, err=True)
    elif sys.stdout.isatty():
        _draw(titles, texts)
    else:
        for line in aligned(texts):
            click.echo(line)


def show_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print names with their values; those without a value are left out.

    Further lines of a value stand below its first one.
    """
    rows = []
    for name, value in fields:
        lines = lines_of(value)
        if any(lines):
            rows += [[f"{name}:" if not number else "", each] for number, each in enumerate(lines)]
    for line in aligned(rows):
        click.echo(line)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines whose columns stand below each other."""
    count = max(map(len, rows), default=0)
    widths = [
        max((len(row[at]) for row in rows if at < len(row)), default=0) for at in range(count)
    ]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]


def printable(value: object, *, keep: str = "") -> str:
    """Return a value as one line that cannot steer a terminal."""
    return "".join(
        char if char in keep or unicodedata.category(char) not in ("Cc", "Cs") else "\ufffd"
        for char in _text(value)
    )


def lines_of(value: object) -> list[str]:
    """Return a value's lines, at least one, none of which can steer a terminal; tabs stay."""
    lines = _text(value).removesuffix("\n").split("\n")
    return [printable(line.removesuffix("\r"), keep="\t") for line in lines]


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool | dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _draw(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, title in enumerate(titles, 1):
        table.add_column(title, no_wrap=number < len(titles))
    for row in rows:
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    console = Console(highlight=False)
    # Ids and names must be whole to be copied, so only the last column is broken into lines.
    before_last = [max(map(len, column)) + 2 for column in zip(titles, *rows, strict=True)][:-1]
    console.width = max(console.width, sum(before_last) + _LAST_COLUMN)
    console.print(table, crop=False, soft_wrap=False)

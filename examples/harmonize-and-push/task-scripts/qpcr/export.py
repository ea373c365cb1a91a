"""The instrument's export: what it says of itself, and its wells as rows."""

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

TASKS = {"STANDARD": "standard", "UNKNOWN": "sample", "NTC": "control"}
NO_AMPLIFICATION = "Undetermined"

# The instrument writes abbreviations, and knows no others where this one stands.
ZONES = {"UTC": 0, "CET": 1, "CEST": 2}

_PREAMBLE = re.compile(r"\* ([^=]+?) = (.*)")
_POSITION = re.compile(r"[A-H]([1-9]|1[0-2])")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) [AP]M (\w+)")


class Well(NamedTuple):
    """A well: `ct` in cycles, None where nothing was amplified; `quantity` in copies."""

    position: str
    sample: str
    target: str
    task: str
    ct: float | None
    quantity: float | None
    omitted: bool


def read_export(text: str) -> tuple[dict[str, str], list[Well]]:
    """Return what the export says of its run, and its wells in the plate's order.

    Raises:
        ValueError: It is no such export; the message names line and column.
    """
    lines = text.splitlines()
    said = dict(found.groups() for line in lines if (found := _PREAMBLE.fullmatch(line)))
    if "[Results]" not in lines:
        raise ValueError("no line '[Results]': this is not an export of the instrument")
    start = lines.index("[Results]") + 1
    wells = [well_of(row, number) for number, row in rows(lines, start)]
    if not wells:
        raise ValueError(f"line {start + 1}: no wells below the header")
    return run_of(said), wells


def run_of(said: dict[str, str]) -> dict[str, str]:
    """Return plate, instrument and end of the run, this in UTC.

    Raises:
        ValueError: One of them is missing, or no time.
    """
    names = {
        "plate": "Experiment Barcode",
        "instrument": "Instrument Serial Number",
        "ended_at": "Experiment Run End Time",
    }
    for name in names.values():
        if not said.get(name):
            raise ValueError(f"no line '* {name} = ...': this is not an export of the instrument")
    run = {key: said[name] for key, name in names.items()}
    return {**run, "ended_at": in_utc(run["ended_at"])}


def in_utc(text: str) -> str:
    """Return a time of the export as ISO 8601 in UTC.

    Raises:
        ValueError: It is none, or its time zone is not known.
    """
    found = _TIME.fullmatch(text)
    if not found or found[2] not in ZONES:
        raise ValueError(f"'{text}' is no time with one of the zones {', '.join(ZONES)}")
    # The hours go to 23 whatever the letters behind them say.
    zone = timezone(timedelta(hours=ZONES[found[2]]))
    local = datetime.fromisoformat(found[1]).replace(tzinfo=zone)
    return local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rows(lines: list[str], start: int) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the table's rows by column, each with the number of its line.

    Raises:
        ValueError: A row has another number of cells than the header.
    """
    header = lines[start].split("\t") if start < len(lines) else []
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if not line:
            return
        cells = line.split("\t")
        if len(cells) != len(header):
            raise ValueError(f"line {number}: {len(cells)} cells, and {len(header)} in the header")
        yield number, dict(zip(header, cells, strict=True))


def well_of(row: dict[str, str], number: int) -> Well:
    """Return a well of a row.

    Raises:
        ValueError: A cell is missing or not what it should be.
    """
    cell = Cells(row, number)
    task = cell.one_of("Task", TASKS)
    position = cell.text("Well Position")
    if not _POSITION.fullmatch(position):
        raise ValueError(f"line {number}, column 'Well Position': '{position}' is on no plate")
    ct = cell.text("CT")
    return Well(
        position=position,
        sample=cell.text("Sample Name"),
        target=cell.text("Target Name"),
        task=TASKS[task],
        ct=None if ct == NO_AMPLIFICATION else cell.number("CT"),
        quantity=cell.number("Quantity") if task == "STANDARD" else None,
        omitted=cell.one_of("Omit", ("true", "false")) == "true",
    )


class Cells:
    """The cells of a row, with errors that name line and column."""

    def __init__(self, row: dict[str, str], number: int) -> None:
        self._row = row
        self._number = number

    def text(self, column: str) -> str:
        """Return a text that is not empty."""
        if not self._row.get(column, "").strip():
            missing = "is empty" if column in self._row else "is missing"
            raise ValueError(f"line {self._number}: the column '{column}' {missing}")
        return self._row[column].strip()

    def number(self, column: str) -> float:
        """Return a number; its thousands may be grouped by commas."""
        text = self.text(column)
        if not re.fullmatch(r"\d{1,3}(,\d{3})*(\.\d+)?|\d+(\.\d+)?", text):
            raise ValueError(f"line {self._number}, column '{column}': '{text}' is no number")
        return float(text.replace(",", ""))

    def one_of(self, column: str, known: Collection[str]) -> str:
        """Return one of some texts."""
        text = self.text(column)
        if text not in known:
            words = ", ".join(known)
            raise ValueError(f"line {self._number}, column '{column}': '{text}' is none of {words}")
        return text

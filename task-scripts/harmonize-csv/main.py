"""Make one clean table of an instrument's CSV file; README.md has the inputs."""

import os
from pathlib import PurePosixPath
from typing import Any

from columns import Column, Reading, column_of
from harmonizing import HarmonizeError, Outcome, Rules, harmonize_table
from tables import Layout, encoding_of

from stepline_sdk import Context
from stepline_sdk.push import Given

MISSING = ("NA", "N/A", "NaN", "null", "none", "-", "--", "#N/A")
MOST_LOGGED = 5


def harmonize(input: dict[str, Any], context: Context) -> dict[str, Any]:
    """Write a file's table with names, types, units and times as they are to be."""
    given = Given(input)
    [(name, pointer)] = given.files(context, "file").items()
    rules = rules_of(given, input)
    source = context.read_file(pointer, form="download")["download"]
    encoding = encoding_of(source, given.text("encoding", default="utf-8"))
    target = os.path.join(context.tmp_dir, "harmonized.csv")
    try:
        with (
            open(source, encoding=encoding, newline="") as read,
            open(target, "x", encoding="utf-8", newline="") as write,
        ):
            outcome = harmonize_table(read, write, rules)
    except HarmonizeError as error:
        faults = str(error).splitlines()
        raise HarmonizeError("\n".join(f"{name}: {fault}" for fault in faults)) from error
    log(context, name, outcome)
    with open(target, "rb") as content:
        file = context.write_file(
            content,
            given.text("file_name", default=f"{PurePosixPath(name).stem}-harmonized.csv"),
            "PROCESSED",
            labels=[{"name": "stage", "value": "harmonized"}],
        )
    return {
        "file": file,
        "rows": outcome.rows,
        "columns": [{"name": c.name, "type": c.type, "unit": c.unit} for c in rules.columns],
        "missing": outcome.missing,
        "bad_values": outcome.bad,
    }


def rules_of(given: Given, input: dict[str, Any]) -> Rules:
    """Return what the input says is to become of the file.

    Raises:
        TypeError, ValueError: It is not understood.
    """
    words = given.texts("missing") if input.get("missing") is not None else list(MISSING)
    return Rules(
        columns=columns_of(given),
        constants={
            name: text_of(name, value) for name, value in given.mapping("constants").items()
        },
        missing=frozenset(word.lower() for word in words),
        layout=Layout(
            delimiter=delimiter_of(given.text("delimiter", default="")),
            header_line=line_of(input.get("header_line")),
            end=given.text("end", default=""),
        ),
        drop_bad_values=given.choice("bad_values", ("fail", "missing"), "fail") == "missing",
    )


def columns_of(given: Given) -> list[Column]:
    """Return the columns of the result.

    Raises:
        TypeError, ValueError: There are none, or one is not understood.
    """
    reading = Reading(
        decimal=given.choice("decimal", (".", ","), "."),
        thousands=given.choice("thousands", ("", ".", ",", "'", "space"), "").replace("space", " "),
        time_zone=given.text("time_zone", default=""),
    )
    if reading.decimal == reading.thousands:
        raise ValueError("input 'thousands' is the same as 'decimal'")
    wanted = given.mapping("columns")
    if not wanted:
        raise ValueError("input 'columns' is missing: which columns the result is to have")
    clash = sorted(set(wanted) & set(given.mapping("constants")))
    if clash:
        raise ValueError(f"'{clash[0]}' is in both inputs 'columns' and 'constants'")
    return [column_of(name, each, reading) for name, each in wanted.items()]


def delimiter_of(text: str) -> str | None:
    """Return what parts the cells; None to find out.

    Raises:
        ValueError: It is not a single character.
    """
    if text in ("tab", "\\t"):
        return "\t"
    if len(text) > 1:
        raise ValueError("input 'delimiter' is a single character, or the word tab")
    return text or None


def line_of(value: Any) -> int | None:
    """Return the number of a line; None to find out.

    Raises:
        TypeError: It is no whole number above 0.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TypeError(f"input 'header_line' is a whole number from 1, not {value!r}")
    return value


def text_of(name: str, value: Any) -> str:
    """Return a constant's value as it is written.

    Raises:
        TypeError: It is a list or an object.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, (list, dict)):
        raise TypeError(f"input 'constants': '{name}' is a text or a number")
    return str(value)


def log(context: Context, name: str, outcome: Outcome) -> None:
    """Say what came of a file."""
    logger = context.get_logger()
    logger.info(f"{name}: {outcome.rows} rows, missing values: {outcome.missing or 'none'}")
    for problem in outcome.problems[:MOST_LOGGED]:
        logger.info(f"{name}: counts as missing: {problem}")

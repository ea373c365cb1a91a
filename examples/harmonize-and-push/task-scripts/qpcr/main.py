"""From a real-time PCR instrument's export to quantities: the functions that protocols call."""

import csv
import io
import json
from collections.abc import Iterable, Sequence

from export import Well, read_export
from quantities import fit
from quantities import quantify as quantities_of
from ts_sdk.task import Context

NUMBERS = ("ct", "quantity")


def harmonize(input: dict, context: Context) -> dict:
    """Write the wells of an export as a table, and label the export with its run."""
    pointer = input["input_file_pointer"]
    name = context.get_file_name(pointer)
    text = context.read_file(pointer)["body"].decode("utf-8-sig", "replace")
    try:
        run, wells = read_export(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    context.get_logger().info(f"{name}: {len(wells)} wells of plate {run['plate']}")
    rows = [["" if value is None else value for value in well] for well in wells]
    file = context.write_file(
        table(Well._fields, rows),
        "wells.csv",
        "PROCESSED",
        labels=[{"name": "plate", "value": run["plate"]}, {"name": "stage", "value": "harmonized"}],
    )
    return {"wells": file, "run": run}


def quantify(input: dict, context: Context) -> dict:
    """Write quantities per sample, and say whether curves and controls are good."""
    wells = wells_of(context.read_file(input["wells"])["body"].decode())
    curves = {target: fit(target, wells) for target in sorted({well.target for well in wells})}
    results = quantities_of(wells, curves, reference=input["reference"])
    faults = [fault for curve in curves.values() for fault in curve.faults]
    flagged = sorted({result.sample for result in results if result.flags})
    context.get_logger().info(
        f"{len(results)} results; to be looked at: {', '.join(flagged) or 'none'}; "
        f"faults: {', '.join(faults) or 'none'}"
    )
    described = [{**curve._asdict(), "efficiency": curve.efficiency} for curve in curves.values()]
    rows = [[shown(value) for value in result] for result in results]
    labels = [{"name": "stage", "value": "quantified"}]
    return {
        "results": context.write_file(
            table(results[0]._fields, rows), "results.csv", "PROCESSED", labels=labels
        ),
        "curves": context.write_file(
            json.dumps(described, indent=2) + "\n", "curves.json", "PROCESSED", labels=labels
        ),
        "usable": not faults,
        "faults": faults,
    }


def wells_of(text: str) -> list[Well]:
    """Return the wells of a harmonized table."""
    return [
        Well(
            **{
                **row,
                **{name: float(row[name]) if row[name] else None for name in NUMBERS},
                "omitted": row["omitted"] == "True",
            }
        )
        for row in csv.DictReader(io.StringIO(text))
    ]


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def shown(value: object) -> object:
    """Return a value as it stands in the table: numbers with six digits, lists in one cell."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return "; ".join(value)
    return "" if value is None else value

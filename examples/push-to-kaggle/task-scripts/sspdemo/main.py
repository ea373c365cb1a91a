"""From a plate reader's file to what is published of it: the functions that protocols call."""

import json

import plate
import protein
from ts_sdk.task.__task_script_runner import Context


def decorate_input_file(input: dict, context: Context) -> dict:
    """Label the input file with what it says of itself, so that it can be searched for."""
    pointer = input["input_file_pointer"]
    export = load(context, pointer)
    known = {(label["name"], label["value"]) for label in context.get_labels(pointer)}
    wanted = [
        {"name": name, "value": value}
        for name, value in plate.describe(export).items()
        if (name, value) not in known
    ]
    if wanted:
        context.add_labels(pointer, wanted)
    context.get_logger().info(f"{len(wanted)} labels added to {context.get_file_name(pointer)}")
    return {"input_file_pointer": pointer, "labels": context.get_labels(pointer)}


def harmonize(input: dict, context: Context) -> dict:
    """Write the raw export as one row per well and wavelength."""
    pointer = input["input_file_pointer"]
    export = load(context, pointer)
    readings = plate.tidy(export)
    unusable = sum(reading["absorbance"] is None for reading in readings)
    context.get_logger().info(f"{len(readings)} readings, {unusable} of them over range")
    return context.write_file(
        content=dump(
            {
                "source": plate.describe(export),
                "assay": export["assay"],
                "readings": readings,
                "extra_data": export["extra_data"],
            }
        ),
        file_name="harmonized.json",
        file_category="PROCESSED",
        custom_metadata={"content": "plate readings"},
        labels=[{"name": "stage", "value": "harmonized"}],
    )


def enrich_input_file(input: dict, context: Context) -> dict:
    """Add the standard curve and each sample's protein content to a harmonized file."""
    document = load(context, input["input_file_pointer"])
    results = protein.analyse(
        document["readings"],
        assay=document["assay"],
        dilution=document["extra_data"].get("dilution_factor", 1),
    )
    flagged = [sample["sample"] for sample in results["samples"] if sample["flags"]]
    context.get_logger().info(
        f"{len(results['samples'])} samples, r2 {results['curve']['r_squared']}, "
        f"to be looked at: {', '.join(flagged) or 'none'}"
    )
    document["extra_data"] = {**document["extra_data"], "source": document["source"], **results}
    return context.write_file(
        content=dump(document),
        file_name="enriched.json",
        file_category="PROCESSED",
        custom_metadata={"content": "plate readings with protein content"},
        labels=[{"name": "stage", "value": "enriched"}],
    )


def export_data(input: dict, context: Context) -> dict:
    """Write what is published of an enriched file: its ``extra_data`` alone."""
    document = load(context, input["input_file_pointer"])
    return context.write_file(
        content=dump({"data": document["extra_data"]}),
        file_name="data.json",
        file_category="PROCESSED",
        labels=[{"name": "stage", "value": "exported"}],
    )


def load(context: Context, pointer: dict) -> dict:
    """Return the JSON object that a file holds.

    Raises:
        ValueError: The file holds something else.
    """
    body = context.read_file(pointer)["body"]
    try:
        document = json.loads(body)
    except ValueError as error:
        raise ValueError(f"{context.get_file_name(pointer)} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f"{context.get_file_name(pointer)} holds no JSON object")
    return document


def dump(document: dict) -> str:
    """Return indented JSON that ends with a new line."""
    return json.dumps(document, indent=2) + "\n"

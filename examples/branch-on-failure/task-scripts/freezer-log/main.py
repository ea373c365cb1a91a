"""From a freezer's log to a report on its day: the functions that protocols call."""

import json

import temperatures
from ts_sdk.task import Context


def parse(input: dict, context: Context) -> dict:
    """Write the log as one temperature for each ten minutes of the day."""
    text = context.read_file(input["input_file_pointer"])["body"].decode()
    return write(context, "day.json", temperatures.parse(text))


def check(input: dict, context: Context) -> dict:
    """Fail if readings are missing."""
    day = read(context, input["day"])
    found = temperatures.gaps(day["celsius"])
    if found:
        raise ValueError("; ".join(temperatures.words(gap) for gap in found))
    return {"readings": len(day["celsius"])}


def repair(input: dict, context: Context) -> dict:
    """Fill short gaps; fail if one is too long for that."""
    day = read(context, input["day"])
    missing = [temperatures.words(gap) for gap in temperatures.gaps(day["celsius"])]
    day["celsius"] = temperatures.fill(day["celsius"], longest=input["longest_gap"])
    print("filled:", "; ".join(missing))
    return write(context, "repaired.json", {**day, "filled": missing})


def quarantine(input: dict, context: Context) -> dict:
    """Label the log, so that nobody counts on it before somebody has looked."""
    labels = [{"name": "quality", "value": "quarantined"}]
    context.add_labels(input["input_file_pointer"], labels)
    print("quarantined:", input["reason"])
    return {"reason": input["reason"]}


def report(input: dict, context: Context) -> dict:
    """Write lowest, highest and mean temperature, and how long it was too warm."""
    day = read(context, input["day"])
    result = {
        "freezer": day["freezer"],
        "day": day["day"],
        **temperatures.summary(day["celsius"], limit=input["limit_celsius"]),
        "filled": day.get("filled", []),
    }
    write(context, "report.json", result, category="PROCESSED")
    return result


def read(context: Context, pointer: dict) -> dict:
    """Return the JSON object that a file holds."""
    return json.loads(context.read_file(pointer)["body"])


def write(context: Context, name: str, document: dict, category: str = "TMP") -> dict:
    """Write a JSON file and return its pointer."""
    content = json.dumps(document, indent=2) + "\n"
    return context.write_file(content=content, file_name=name, file_category=category)

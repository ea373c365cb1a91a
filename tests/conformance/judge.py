"""What the public protocol compiler said about each case, kept so that tests need not ask it."""

import hashlib
import json
from pathlib import Path

HOME = Path(__file__).parent
VERDICTS = HOME / "judge_verdicts.json"
DIFFERENCES = HOME / "judge_differences.json"
PACKAGE = "ts-protocol-virtual-machine 1.9.1"


def recorded(cases):
    """The kept verdict for each case, by name.

    Raises:
        ValueError: The cases are not those that the compiler was asked about.
    """
    kept = json.loads(VERDICTS.read_text(encoding="utf-8"))
    if kept["cases"] != digest(cases):
        raise ValueError("the cases changed; record the verdicts anew")
    special = dict.fromkeys(kept["accept"], "accept") | dict.fromkeys(kept["crash"], "crash")
    return {name: special.get(name, "reject") for name in cases}


def record(cases, verdicts):
    """Keep the verdicts; those that are not named are rejections."""
    content = {
        "package": PACKAGE,
        "cases": digest(cases),
        "crash": [name for name in cases if verdicts[name] == "crash"],
        "accept": [name for name in cases if verdicts[name] == "accept"],
    }
    VERDICTS.write_text(json.dumps(content, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


def digest(cases):
    return hashlib.sha256(json.dumps(cases).encode()).hexdigest()


def differences():
    """The reason for each case on which we and the compiler differ on purpose, by name."""
    listed = json.loads(DIFFERENCES.read_text(encoding="utf-8"))
    return {name: entry["reason"] for entry in listed for name in entry["cases"]}

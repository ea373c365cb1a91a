"""The tour of the architecture names every package, and every module of the service."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/architecture.md").read_text()
HELPERS = {"codec", "newest"}


def names_below(title):
    """Return what stands in backticks in the first column of the table with this first title."""
    table = PAGE.split(f"\n| {title} |", 1)[1].split("\n\n", 1)[0]
    firsts = [row.split(" | ")[0] for row in table.splitlines()[2:]]
    return {name for first in firsts for name in re.findall(r"`([^`]+)`", first)}


def modules(folder):
    """Return the names of a folder's modules and packages."""
    inside = (path for path in (ROOT / "src" / folder).iterdir() if path.name[0] not in "_.")
    return {path.stem for path in inside if path.is_dir() or path.suffix == ".py"}


def test_architecture_names_every_package_and_no_other():
    assert names_below("package") == modules("stepline") | {"stepline_sdk"}


def test_architecture_names_every_module_of_the_service_and_no_other():
    assert names_below("in `app.service`") == modules("stepline/app/service") - HELPERS

"""The operator's page names every table of the state."""

import re
from pathlib import Path

from stepline.plugins.state_sql.tables import metadata

PAGE = Path(__file__).parents[2].joinpath("docs/how-to/operate-the-service.md").read_text()


def names_below(title):
    """Return what stands in backticks in the first column of the table with this first title."""
    table = PAGE.split(f"\n| {title} |", 1)[1].split("\n\n", 1)[0]
    firsts = [row.split(" | ")[0] for row in table.splitlines()[2:]]
    return {name for first in firsts for name in re.findall(r"`([^`]+)`", first)}


def test_operator_page_names_every_table_and_no_other():
    assert names_below("tables") == {*metadata.tables, "alembic_version"}

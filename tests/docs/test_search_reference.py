"""The reference of searches names what there is, and its example works."""

import json
import re
from pathlib import Path

import pytest

from stepline.engine.queries import compile_query
from stepline.engine.search import document, search
from stepline.errors import UserError
from stepline.model.file import FileCategory, FilePointer, FileRecord, Label

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "search.md").read_text()

RECORD = FileRecord(
    pointer=FilePointer("lake", "acme/s-1/IDS/run42.json/out.json", "f-1", "v-1"),
    category=FileCategory.IDS,
    created_at="2024-01-31T12:00:00Z",
    source={"id": "s-1"},
    labels=(Label("project", "apollo", 1),),
)


def _names(heading: str) -> set[str]:
    """The names in the first column of the table below a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_search_reference_example_finds_file() -> None:
    payload = json.loads(PAGE.split("```json\n")[1].split("```")[0])
    (hit,) = search(payload, [document(RECORD)])["hits"]["hits"]
    assert set(hit["_source"]) == {"fileId", "file", "labels"}


def test_search_reference_names_all_query_forms() -> None:
    with pytest.raises(UserError) as caught:
        compile_query({"unknown": {}})
    assert _names("Query forms") == set(caught.value.hint.removeprefix("use one of: ").split(", "))


def test_search_reference_names_all_parts_of_body() -> None:
    with pytest.raises(UserError) as caught:
        search({"unknown": 1}, [])
    assert _names("The body") == set(caught.value.hint.removeprefix("use one of: ").split(", "))


def test_search_reference_names_all_fields() -> None:
    named = {name.split(".")[0] for name in _names("Fields")}
    assert named == set(document(RECORD))

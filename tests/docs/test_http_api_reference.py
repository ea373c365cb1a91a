"""The reference of the HTTP API has each path, with its parameters and fields, and no other."""

import re
from pathlib import Path

import pytest

from stepline.server.app import ROUTERS
from stepline.server.faults import STATUSES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "http-api.md").read_text()
ROUTES = {
    f"{method} {route.path.replace(':path', '')}": route
    for router in ROUTERS
    for route in router.routes
    for method in route.methods
}
ROWS = {
    found[1]: found[2]
    for found in re.finditer(r"^\| `([A-Z]+ /[^`]*)` \| (.*) \|$", PAGE, flags=re.MULTILINE)
}
DESCRIPTION = "GET /v1/openapi.json"


def names_of(route):
    """Return the parameters and the body's fields of a route."""
    names = [field.alias for field in route.dependant.query_params]
    for field in route.dependant.body_params:
        model = field.field_info.annotation
        for each in getattr(model, "__args__", (model,)):
            names += getattr(each, "model_fields", {})
    return names


def test_http_api_reference_has_each_path_and_no_other():
    assert sorted(ROWS) == sorted([*ROUTES, DESCRIPTION])


@pytest.mark.parametrize("request_line", ROUTES)
def test_http_api_reference_names_parameters_and_fields(request_line):
    words = words_of(ROWS[request_line])
    assert [name for name in names_of(ROUTES[request_line]) if name not in words] == []


def words_of(row):
    """Return the words that stand in backticks."""
    return set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", row))))


def test_http_api_reference_has_each_status_of_errors():
    listed = re.findall(r"^\| (\d{3}(?:, \d{3})*) \|", PAGE, flags=re.MULTILINE)
    statuses = {int(number) for cell in listed for number in cell.split(", ")}
    assert {status for _, status in STATUSES} <= statuses

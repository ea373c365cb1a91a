"""IDS and schemas through a Context, with the platform's real end."""

import pytest

from stepline_sdk.errors import (
    IDSInvalidData,
    IDSInvalidWrite,
    IDSNotAllowed,
    IDSValidateWrongParams,
)
from tests.support.contexts import IDS, OTHER_IDS, SCHEMA, references

PARTS = ("common", "plate-reader", "v1.0.0")
OTHER = ("common", "balance", "v2.0.0")


def cube(value, *scales):
    dimensions = [{"scale": list(range(length))} for length in scales]
    return {"run": 1, "datacubes": [{"measures": [{"value": value}], "dimensions": dimensions}]}


def test_get_ids_returns_the_schema(context):
    assert context.get_ids(*PARTS) == SCHEMA


def test_get_schema_artifact_returns_another_kind(context, world):
    world.publish_schema("schemas", "common/form:v1.0.0", {"title": "Form"})
    assert context.get_schema_artifact("common", "form", "v1.0.0") == {"title": "Form"}


@pytest.mark.parametrize(
    ("method", "message"),
    [("get_ids", "no IDS common/balance"), ("get_schema_artifact", "no schema artifact common/")],
)
def test_schema_that_does_not_exist_is_refused(context, method, message):
    with pytest.raises(FileNotFoundError, match=message):
        getattr(context, method)(*OTHER)


@pytest.mark.parametrize("parts", [("..", "a", "b"), ("a/b", "c", "d"), ("a", "b", ""), (1, 2, 3)])
def test_schema_of_a_name_that_is_none_is_refused(context, parts):
    with pytest.raises(ValueError, match="must be names"):
        context.get_ids(*parts)


def test_get_ids_without_any_schemas_is_refused(world):
    with pytest.raises(FileNotFoundError, match="there is no IDS"):
        world.attempt(schemas=None).context.get_ids(*PARTS)


def test_get_ids_prerelease_needs_the_pipelines_consent(world):
    world.publish_schema("ids", "common/plate-reader:v2.0.0-beta.1", {"title": "Beta"})
    parts = ("common", "plate-reader", "v2.0.0-beta.1")
    with pytest.raises(FileNotFoundError, match="is a prerelease"):
        world.attempt().context.get_ids(*parts)
    attempt = world.attempt({"includePrereleases": True})
    assert attempt.context.include_prereleases is True
    assert attempt.context.get_ids(*parts) == {"title": "Beta"}


def test_get_ids_is_recorded(attempt):
    attempt.context.get_ids(*PARTS)
    assert attempt.scope.reads.entries == [{"kind": "ids", "name": IDS}]


def test_validate_ids_good_data_gives_none(context):
    assert context.validate_ids({"run": 1}, *PARTS) is None


@pytest.mark.parametrize(
    "data", [{"run": "1"}, {}, {"run": 1.5}, [], None, "text", {"run": 1, "value": None}], ids=repr
)
def test_validate_ids_bad_data_is_refused(context, data):
    with pytest.raises(IDSInvalidData, match="do not follow IDS common/plate-reader"):
        context.validate_ids(data, *PARTS)


def test_validate_ids_names_every_fault(context, world):
    schema = {"properties": {name: {"type": "integer"} for name in "abc"}}
    world.publish_schema("ids", OTHER_IDS, schema)
    with pytest.raises(IDSInvalidData) as caught:
        context.validate_ids({"a": "x", "b": 1, "c": "y"}, *OTHER)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()[1:]] == ["$.a", "$.c"]


def test_validate_ids_nan_is_a_number(context):
    assert context.validate_ids({"run": 1, "value": float("nan")}, *PARTS) is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(cube([1, 2], 2), id="one dimension"),
        pytest.param(cube([[1, 2, 3], [4, 5, 6]], 2, 3), id="two dimensions"),
        pytest.param(cube([], 0), id="all empty"),
        pytest.param(cube([], 2, 3), id="empty measure"),
        pytest.param(cube([[], []], 2, 3), id="empty rows"),
        pytest.param(cube([[]], 0, 0), id="nested empty, dimensions empty"),
        pytest.param({"run": 1, "datacubes": []}, id="no cubes"),
        pytest.param({"run": 1, "datacubes": [{}]}, id="cube without measures"),
        pytest.param({"run": 1, "datacubes": 5}, id="cubes of another type"),
        pytest.param({"run": 1, "datacubes": [5, {"measures": 5}]}, id="odd cubes"),
        pytest.param(
            {"run": 1, "datacubes": [{"measures": [5, {}], "dimensions": [5, {"scale": 5}]}]},
            id="odd measures and dimensions",
        ),
    ],
)
def test_validate_ids_datacube_of_fitting_shape_is_taken(context, data):
    assert context.validate_ids(data, *PARTS) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(cube([1, 2], 3), r"shape is \[2\].*have \[3\]", id="length"),
        pytest.param(cube([[1, 2], [3, 4]], 4), r"shape is \[2, 2\]", id="depth"),
        pytest.param(cube([[1], [1, 2]], 2, 2), "different lengths", id="ragged"),
        pytest.param(cube([1, [2]], 2), "different lengths", id="mixed"),
        pytest.param(cube([[], [], []], 2, 3), r"shape is \[3, 0\]", id="empty rows, too many"),
        pytest.param(cube([1], 0), r"shape is \[1\].*have \[0\]", id="dimensions empty"),
    ],
)
def test_validate_ids_datacube_of_another_shape_is_refused(context, data, message):
    with pytest.raises(IDSInvalidData, match=rf"datacubes\[0\]\.measures\[0\].*{message}"):
        context.validate_ids(data, *PARTS)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "nonsense"}, "not a valid schema"),
        ({"$ref": "http://127.0.0.1:9/schema.json"}, "refers to a schema that is not in it"),
        ({"$ref": "#"}, "without end"),
    ],
    ids=["invalid", "remote", "endless"],
)
def test_validate_ids_unusable_schema_is_refused_without_a_fetch(context, world, schema, message):
    world.publish_schema("ids", OTHER_IDS, schema)
    with pytest.raises(IDSInvalidData, match=message):
        context.validate_ids({"run": 1}, *OTHER)


@pytest.mark.parametrize(
    "parts", [("common", None, None), (None, "x", None), ("common", "x", None), ("", "x", "y")]
)
def test_validate_ids_a_part_of_an_ids_is_refused(context, parts):
    with pytest.raises(IDSValidateWrongParams, match="all or none"):
        context.validate_ids({}, *parts)


@pytest.mark.parametrize("allowed", [None, [], [IDS, OTHER_IDS]], ids=["absent", "none", "two"])
def test_validate_ids_without_names_needs_exactly_one_allowed(world, allowed):
    context = world.attempt(allowed_ids=None if allowed is None else references(*allowed)).context
    with pytest.raises(IDSValidateWrongParams, match="exactly one"):
        context.validate_ids({"run": 1})


def test_validate_ids_without_names_uses_the_only_allowed_one(world):
    context = world.attempt(allowed_ids=references(IDS)).context
    assert context.validate_ids({"run": 1}) is None
    with pytest.raises(IDSInvalidData):
        context.validate_ids({})


@pytest.mark.parametrize(
    ("allowed", "error"), [([OTHER_IDS], IDSNotAllowed), ([], IDSInvalidWrite)], ids=["one", "none"]
)
def test_validate_ids_keeps_to_the_allowed_ones_unless_told(world, allowed, error):
    context = world.attempt(allowed_ids=references(*allowed)).context
    with pytest.raises(error):
        context.validate_ids({"run": 1}, *PARTS)
    assert context.validate_ids({"run": 1}, *PARTS, ignore_allowed_ids=True) is None


def test_validate_ids_leaves_nothing_in_the_scratch_folder(attempt):
    attempt.context.validate_ids({"run": 1}, *PARTS)
    with pytest.raises(IDSInvalidData):
        attempt.context.validate_ids({}, *PARTS)
    assert list(attempt.scratch.iterdir()) == []

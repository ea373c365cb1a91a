"""What every source of schemas promises; an adapter joins by one line in `SOURCES`."""

import json

import pytest

from stepline.errors import UserError
from stepline.model.task_script import IdsReference
from stepline.plugins.files_local.schemas import FolderSchemas

REFERENCE = IdsReference("common", "reader", "v1.0.0")


def publish(folder, text, kind="ids"):
    home = folder / kind / "common/reader/v1.0.0"
    home.mkdir(parents=True)
    (home / "schema.json").write_text(text)


# How to make a source over a folder that is laid out as `publish` does.
SOURCES = {"folder": lambda folder: FolderSchemas(str(folder))}


@pytest.fixture(params=SOURCES)
def source_of(request):
    """Makes a source."""
    return SOURCES[request.param]


@pytest.mark.parametrize("kind", ["ids", "schemas"])
def test_schema_is_found_by_kind(source_of, tmp_path, kind):
    publish(tmp_path, json.dumps({"title": kind}), kind=kind)
    source = source_of(tmp_path)
    assert source.schema(kind, REFERENCE) == {"title": kind}
    other = "schemas" if kind == "ids" else "ids"
    assert source.schema(other, REFERENCE) is None


def test_schema_that_does_not_exist_is_none(source_of, tmp_path):
    publish(tmp_path, "{}")
    assert source_of(tmp_path).schema("ids", IdsReference("common", "reader", "v2.0.0")) is None


@pytest.mark.parametrize("text", ["{", "[]", "5", "\x00"], ids=repr)
def test_schema_that_is_no_object_is_refused(source_of, tmp_path, text):
    publish(tmp_path, text)
    with pytest.raises(UserError, match=r"schema\.json"):
        source_of(tmp_path).schema("ids", REFERENCE)

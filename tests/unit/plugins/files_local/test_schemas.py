import json

import pytest

from stepline.errors import ConfigError, SettingsError
from stepline.model.task_script import IdsReference
from stepline.plugins.files_local.schemas import FolderSchemas

REFERENCE = IdsReference("common", "reader", "v1.0.0")


def test_folder_without_kinds_serves_both(tmp_path):
    home = tmp_path / "common/reader/v1.0.0"
    home.mkdir(parents=True)
    (home / "schema.json").write_text(json.dumps({"title": "x"}))
    source = FolderSchemas(str(tmp_path))
    assert source.schema("ids", REFERENCE) == source.schema("schemas", REFERENCE) == {"title": "x"}


def test_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="no folder"):
        FolderSchemas(str(tmp_path / "nothing"))


def test_broken_schema_names_file_line_and_column(tmp_path):
    home = tmp_path / "ids/common/reader/v1.0.0"
    home.mkdir(parents=True)
    (home / "schema.json").write_text('{"a": 1,\n  oops}')
    with pytest.raises(ConfigError) as caught:
        FolderSchemas(str(tmp_path)).schema("ids", REFERENCE)
    assert (caught.value.where.line, caught.value.where.column) == (2, 3)


def test_schema_is_read_once(tmp_path):
    home = tmp_path / "ids/common/reader/v1.0.0"
    home.mkdir(parents=True)
    (home / "schema.json").write_text('{"a": 1}')
    source = FolderSchemas(str(tmp_path))
    assert source.schema("ids", REFERENCE) is source.schema("ids", REFERENCE)

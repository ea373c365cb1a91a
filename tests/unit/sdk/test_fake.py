"""The simple stand-in for a context that published tests use."""

import json

import pytest

from stepline_sdk import fake
from stepline_sdk.errors import IDSInvalidWrite, IDSNotAllowed

IDS = {"namespace": "common", "slug": "a", "version": "v1.0.0"}
TEXT = "common/a:v1.0.0"


@pytest.fixture
def strict(tmp_path, monkeypatch):
    """A context for a function of which config.json allows one IDS."""
    functions = [
        {"slug": "f", "allowedIds": IDS},
        {"slug": "g"},
        {"slug": "none", "allowedIds": None},
    ]
    (tmp_path / "config.json").write_text(json.dumps({"functions": functions}))
    monkeypatch.chdir(tmp_path)
    return fake.Context("f")


@pytest.mark.parametrize("form", ["body", "file_obj", "download"])
def test_fake_write_and_read_by_bare_name(form):
    context = fake.Context()
    pointer = context.write_file("x", "name.txt", "PROCESSED")
    assert pointer == {
        "type": "s3file",
        "bucket": "fake-unittest-bucket",
        "fileKey": "name.txt",
    }
    result = context.read_file(pointer, form)
    if form == "file_obj":
        assert result["file_obj"].read() == b"x"
    elif form == "download":
        with open(result["download"], "rb") as file:
            assert file.read() == b"x"
    assert result["body"] == b"x"
    assert result["file"]["fileKey"] == "name.txt"


def test_fake_read_unknown_form_is_refused():
    context = fake.Context()
    pointer = context.write_file(b"x", "n", "TMP")
    with pytest.raises(ValueError, match="form 'x'"):
        context.read_file(pointer, "x")


def test_fake_keeps_what_was_given():
    context = fake.Context()
    pointer = context.write_file(
        b"x", "n", "TMP", TEXT, {"a": "b"}, ["t"], "lab", [{"name": "a", "value": "b"}]
    )
    result = context.read_file(pointer)
    assert (result["custom_metadata"], result["custom_tags"]) == ({"a": "b"}, ["t"])
    assert result["metadata"] == {
        "TS_IDS": TEXT,
        "TS_SOURCE_TYPE": "lab",
        "TS_FILE_CATEGORY": "TMP",
    }


def test_fake_calls_that_do_nothing():
    context = fake.Context(pipeline_config={"key": "value"})
    file = {"fileKey": "n"}
    assert context.get_ids("a", "b", "c") == {}
    assert context.validate_ids({}, "a", "b", "c") is True
    assert context.write_ids({}, "suffix") == {}
    assert (context.add_labels(file, []), context.get_labels(file)) == ({}, {})
    assert context.delete_labels(file) == {}
    assert context.update_metadata_tags(file) == {}
    assert context.run_command("o", "t", "a", {}, {}) == {}
    assert (context.get_file_name(file), context.get_presigned_url(file)) == ("", "")
    secret = {"ssm": "x"}
    assert context.resolve_secret(secret) is secret
    assert context.get_secret_config_value("key") == "value"


@pytest.mark.parametrize(
    "name", ["write_detached_file", "search_eql", "add_attributes", "run_cmd", "tmp_dir"]
)
def test_fake_lacks_what_the_original_lacks(name):
    assert not hasattr(fake.Context(), name)


def test_fake_logger_prints_records(capsys):
    fake.Context().get_logger().log({"message": "m"})
    assert json.loads(capsys.readouterr().out)["message"] == "m"


def test_fake_allowed_ids_are_read_for_a_slug(strict):
    assert str(strict.allowed_ids.get_first()) == TEXT
    pointer = strict.write_file("{}", "n", "IDS")
    assert strict.read_file(pointer)["metadata"]["TS_IDS"] == TEXT
    assert strict.validate_ids({}, "common", "a", "v1.0.0") is True
    with pytest.raises(IDSNotAllowed):
        strict.validate_ids({}, "common", "b", "v1.0.0")
    with pytest.raises(IDSNotAllowed):
        strict.write_ids({}, "s", "common/b:v1.0.0")
    assert strict.write_ids({}, "s", "common/b:v1.0.0", file_category="TMP") == {}


def test_fake_allowed_ids_null_forbids(strict):
    with pytest.raises(IDSInvalidWrite):
        fake.Context("none").write_file("{}", "n", "IDS")


@pytest.mark.parametrize("slug", [None, "g", "unknown"])
def test_fake_allowed_ids_unspecified(strict, slug):
    context = fake.Context(slug)
    with pytest.raises(KeyError, match="allowedIds"):
        context.allowed_ids  # noqa: B018
    assert context.write_file("{}", "n", "IDS", "x/y:v1")["fileKey"] == "n"


def test_load_pipeline_config_replaces_it():
    context = fake.Context()
    fake.load_pipeline_config(context, {"a": "b"})
    assert context.pipeline_config == {"a": "b"}


@pytest.mark.parametrize("mode", ["r", "rb"])
def test_load_test_file_and_check_test_output(tmp_path, mode):
    path = tmp_path / "in.json"
    path.write_text('{"a": 1}')
    context = fake.Context()
    pointer = fake.load_test_file(context, path, "/in.json", mode, file_category="RAW")
    assert pointer["fileKey"] == "/in.json"
    fake.check_test_output(context, path, pointer)
    path.write_text('{ "a": 1 }')
    fake.check_test_output(context, path, pointer, json.loads)
    with pytest.raises(AssertionError):
        fake.check_test_output(context, path, pointer)

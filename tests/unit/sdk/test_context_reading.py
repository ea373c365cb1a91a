"""Reading files through a Context, with the platform's real end."""

import io
import os
from urllib.request import urlopen

import pytest


def pointer(context, **changes):
    names = ("type", "bucket", "fileKey", "fileId", "version")
    kept = {name: context.input_file[name] for name in names} | changes
    return {name: value for name, value in kept.items() if value is not ...}


def test_read_file_body_gives_bytes_and_attributes(context, world):
    result = context.read_file(context.input_file)
    assert result["body"] == world.input_bytes
    assert result["custom_metadata"] == {"batch": "7"}
    assert result["custom_tags"] == ["raw"]
    assert result["file"] == pointer(context)


def test_read_file_metadata_is_that_of_the_stored_object(context, world):
    metadata = context.read_file(context.input_file)["metadata"]
    expected = {
        "ts_file_id": world.input.pointer.file_id,
        "ts_trace_id": world.input.pointer.file_id,
        "ts_integration_metadata": "batch=7",
        "ts_integration_tags": "raw",
        "ts_source_type": "reader",
        "ts_source_name": "Reader 1",
        "ts_pipeline_id": "",
    }
    assert {name: metadata[name] for name in expected} == expected


def test_read_file_file_obj_is_a_binary_stream(context, world):
    stream = context.read_file(context.input_file, "file_obj")["file_obj"]
    with stream:
        assert stream.read(3) == world.input_bytes[:3]
        assert stream.read() == world.input_bytes[3:]
        with pytest.raises(io.UnsupportedOperation):
            stream.write(b"x")


def test_read_file_file_obj_holds_no_other_form(context):
    result = context.read_file(context.input_file, form="file_obj")
    result.pop("file_obj").close()
    assert not {"body", "download"} & result.keys()


def test_read_file_download_is_a_private_copy_with_the_files_name(context, attempt, world):
    path = context.read_file(context.input_file, form="download")["download"]
    assert os.path.basename(path) == "run42.json"
    assert path.startswith(str(attempt.tmp))
    with open(path, "ab") as file:
        file.write(b"edited")
    assert world.input_path.read_bytes() == world.input_bytes
    assert context.read_file(context.input_file)["body"] == world.input_bytes


def test_read_file_download_twice_gives_two_copies(context):
    first, second = (context.read_file(context.input_file, "download") for _ in range(2))
    assert first["download"] != second["download"]


@pytest.mark.parametrize("form", ["body", "file_obj", "download"])
@pytest.mark.parametrize("links", [True, False], ids=["linked", "copied"])
def test_read_file_leaves_nothing_in_the_scratch_folder(world, form, links):
    attempt = world.attempt(link_reads=links)
    result = attempt.context.read_file(attempt.context.input_file, form)
    if form == "file_obj":
        assert result["file_obj"].read() == world.input_bytes
        result["file_obj"].close()
    assert list(attempt.scratch.iterdir()) == []


def test_read_file_download_without_links_is_moved_not_copied_again(world):
    attempt = world.attempt(link_reads=False)
    path = attempt.context.read_file(attempt.context.input_file, "download")["download"]
    with open(path, "rb") as file:
        assert file.read() == world.input_bytes


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="whole pointer"),
        pytest.param({"version": ...}, id="no version"),
        pytest.param({"version": ""}, id="empty version"),
        pytest.param({"fileId": ...}, id="no fileId"),
        pytest.param({"type": ...}, id="no type"),
        pytest.param({"meta": {"any": "thing"}}, id="extra keys"),
    ],
)
def test_read_file_accepts_pointer(context, world, changes):
    result = context.read_file(pointer(context, **changes))
    assert result["body"] == world.input_bytes
    assert result["file"] == world.input.pointer.to_plain()


def test_read_file_accepts_a_file_id_alone(context, world):
    result = context.read_file({"fileId": world.input.pointer.file_id})
    assert result["file"] == world.input.pointer.to_plain()


@pytest.mark.parametrize(
    ("file", "error", "message"),
    [
        pytest.param({"fileId": "nope"}, FileNotFoundError, "fileId 'nope'", id="unknown id"),
        pytest.param({"fileKey": "a/b/RAW/c"}, KeyError, "bucket", id="another single key"),
        pytest.param({}, KeyError, "bucket", id="empty"),
        pytest.param(None, TypeError, "is a dict, not None", id="none"),
        pytest.param("key", TypeError, "is a dict, not 'key'", id="text"),
    ],
)
def test_read_file_pointer_that_names_nothing_is_refused(context, file, error, message):
    with pytest.raises(error, match=message):
        context.read_file(file)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        pytest.param({"version": None}, ValueError, "must be text: None", id="version null"),
        pytest.param({"version": "zzz"}, FileNotFoundError, "version 'zzz'", id="version"),
        pytest.param({"fileKey": "x/y/RAW/z"}, FileNotFoundError, "x/y/RAW/z", id="key"),
        pytest.param({"bucket": "other"}, FileNotFoundError, "bucket 'other'", id="bucket"),
        pytest.param({"fileKey": 5}, ValueError, "fileKey", id="key not text"),
    ],
)
def test_read_file_wrong_pointer_is_refused(context, changes, error, message):
    with pytest.raises(error, match=message):
        context.read_file(pointer(context, **changes))


def test_read_file_unknown_form_is_refused(context):
    with pytest.raises(ValueError, match="'stream' is not one of body, file_obj, download"):
        context.read_file(context.input_file, "stream")


def test_read_file_of_an_input_that_vanished_is_refused(context, world):
    world.input_path.unlink()
    with pytest.raises(RuntimeError, match=r"run42\.json' cannot be read"):
        context.read_file(context.input_file)


def test_read_file_of_an_input_that_changed_is_refused(context, world):
    world.input_path.write_bytes(b"something else")
    with pytest.raises(RuntimeError, match="was changed after the workflow was started"):
        context.read_file(context.input_file)


def test_read_file_is_recorded_once(context, attempt, world):
    context.read_file(context.input_file)
    context.read_file(context.input_file, "file_obj")["file_obj"].close()
    pointer = world.input.pointer.to_plain()
    assert attempt.scope.reads.entries == [{"kind": "file", "file": pointer}]


def test_get_file_name_is_the_last_part_of_the_key(context):
    assert context.get_file_name({"fileKey": "a/b/RAW/c/d.csv"}) == "d.csv"


@pytest.mark.parametrize("changes", [{}, {"fileId": ...}, {"fileId": None}], ids=str)
def test_get_file_id_with_and_without_one_in_the_pointer(context, world, changes):
    assert context.get_file_id(pointer(context, **changes)) == world.input.pointer.file_id


def test_get_file_pointer_of_an_id(context, world):
    assert context.get_file_pointer(world.input.pointer.file_id) == world.input.pointer.to_plain()


def test_get_file_info_holds_what_the_platform_knows(context, world):
    info = context.get_file_info(world.input.pointer.file_id)
    key = world.input.pointer.key
    assert (info["category"], info["filePath"], info["orgSlug"]) == ("RAW", "run42.json", "local")
    assert info["file"]["path"] == key
    assert info["source"] == {"id": key.split("/")[1], "type": "reader", "name": "Reader 1"}
    assert info["labels"] == [{"id": 1, "name": "project", "value": "apollo"}]
    assert (info["metadata"], info["tags"]) == ({"batch": "7"}, ["raw"])


@pytest.mark.parametrize("method", ["get_file_info", "get_file_pointer"])
def test_file_of_unknown_id_is_refused(context, method):
    with pytest.raises(FileNotFoundError, match="no file with fileId 'nope'"):
        getattr(context, method)("nope")


def test_get_file_permalink_joins_address_and_id(context):
    assert context.get_file_permalink({"fileId": "abc"}) == "http://127.0.0.1/api/o/fi/abc"


def test_get_file_permalink_without_an_address_is_refused(world):
    context = world.attempt({"platformApiUrl": None}).context
    with pytest.raises(ValueError, match="platform_api_url"):
        context.get_file_permalink({"fileId": "abc"})


def test_get_presigned_url_of_a_folder_opens_the_file(context, world):
    url = context.get_presigned_url(context.input_file)
    assert url.startswith("file:///")
    assert url.endswith("/run42.json")
    with urlopen(url) as answer:
        assert answer.read() == world.input_bytes


@pytest.mark.parametrize("ttl_sec", [-1, 901, None])
def test_get_presigned_url_time_out_of_range_is_refused(context, ttl_sec):
    with pytest.raises(ValueError, match="between 0 and 900"):
        context.get_presigned_url(context.input_file, ttl_sec)


@pytest.mark.parametrize("ttl_sec", [0, 900])
def test_get_presigned_url_time_at_the_limits_is_taken(context, ttl_sec):
    assert context.get_presigned_url(context.input_file, ttl_sec)


def test_get_presigned_url_of_no_file_is_none(context, capsys):
    assert context.get_presigned_url(pointer(context, fileKey="a/b/RAW/c")) is None
    assert "no presigned URL: there is no file" in capsys.readouterr().out

"""Writing files through a Context, with the platform's real end."""

import io
import json
import os

import pytest

from stepline_sdk.errors import (
    ConcurrentModificationError,
    IDSInvalidData,
    IDSInvalidWrite,
    IDSNotAllowed,
    InvalidFileCategoryError,
    InvalidPathException,
)
from stepline_sdk.experiments import Experiment
from stepline_sdk.labels import Label
from tests.support.contexts import IDS, OTHER_IDS, references, short

DATA = {"run": 42}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("grün", "grün".encode(), id="text"),
        pytest.param(b"\x00\xff", b"\x00\xff", id="bytes"),
        pytest.param(bytearray(b"abc"), b"abc", id="bytearray"),
        pytest.param(memoryview(b"abc"), b"abc", id="memoryview"),
        pytest.param("", b"", id="empty"),
    ],
)
def test_write_file_stores_content(attempt, content, expected):
    pointer = attempt.context.write_file(content, "out.txt", "PROCESSED")
    assert attempt.written(pointer) == expected
    assert attempt.context.read_file(pointer)["body"] == expected


def test_write_file_stream_is_read_from_its_position(attempt):
    stream = io.BytesIO(b"head,tail" * 300_000)
    stream.seek(5)
    pointer = attempt.context.write_file(stream, "out.bin", "PROCESSED")
    assert attempt.written(pointer) == (b"head,tail" * 300_000)[5:]


def test_write_file_text_stream_becomes_utf_8(attempt):
    pointer = attempt.context.write_file(io.StringIO("grün"), "out.txt", "PROCESSED")
    assert attempt.written(pointer) == "grün".encode()


def test_write_file_read_stream_can_be_written_on(attempt, world):
    stream = attempt.context.read_file(attempt.context.input_file, "file_obj")["file_obj"]
    with stream:
        pointer = attempt.context.write_file(stream, "copy.json", "PROCESSED")
    assert attempt.written(pointer) == world.input_bytes


@pytest.mark.parametrize(
    "content", [None, 5, ["a"], object()], ids=["none", "number", "list", "object"]
)
def test_write_file_other_content_is_refused(context, content):
    with pytest.raises(TypeError, match="not text, bytes, a stream or a dict"):
        context.write_file(content, "out.txt", "PROCESSED")


def test_write_file_failing_stream_leaves_nothing(attempt):
    class Broken:
        def read(self, size):
            raise OSError("the instrument is gone")

    with pytest.raises(OSError, match="the instrument is gone"):
        attempt.context.write_file(Broken(), "out.txt", "PROCESSED")
    assert list(attempt.scratch.iterdir()) == []


def test_write_file_pointer_has_the_raw_name_as_a_folder(attempt, world):
    pointer = attempt.context.write_file("x", "sub/out.txt", "PROCESSED")
    source_id = world.input.pointer.key.split("/")[1]
    assert pointer["fileKey"] == f"local/{source_id}/PROCESSED/run42.json/sub/out.txt"
    assert (pointer["type"], pointer["bucket"]) == ("s3file", "local")
    assert pointer["fileId"]
    assert pointer["version"]


def test_write_file_inherits_and_merges(attempt, world):
    pointer = attempt.context.write_file(
        "x", "o", "PROCESSED", custom_metadata={"n": 5}, custom_tags=["b"]
    )
    record = attempt.record(pointer)
    assert record.metadata == {"batch": "7", "n": "5"}
    assert record.tags == ("b", "raw")
    assert record.source == world.input.source
    assert record.trace_id == record.source_file_id == world.input.pointer.file_id
    assert record.labels == ()


def test_write_file_trace_id_is_handed_down(attempt, world):
    first = attempt.context.write_file("x", "o", "PROCESSED")
    attempt.files.commit()
    second = world.attempt({"inputFile": first})
    record = second.record(second.context.write_file("y", "p", "PROCESSED"))
    assert record.trace_id == world.input.pointer.file_id
    assert record.source_file_id == first["fileId"]


def test_write_file_records_what_wrote_it(attempt):
    record = attempt.record(attempt.context.write_file("x", "o", "PROCESSED"))
    assert record.created_at == "2030-01-02T03:04:05Z"
    assert record.provenance == {
        "pipelineId": "pipeline-1",
        "pipelineName": "Push",
        "pipelineHistory": ["pipeline-1"],
        "workflowId": "workflow-1",
        "taskId": "task-1",
        "taskSlug": "decode",
        "taskScript": "private-local/demo:v1.0.0",
        "masterScript": "private-local/push:v1.0.0",
    }


def test_write_file_labels_are_those_of_the_new_file(attempt):
    labels = [Label("a", "1"), {"name": "a", "value": "2"}]
    pointer = attempt.context.write_file("x", "o", "PROCESSED", labels=labels)
    found = attempt.context.get_labels(pointer)
    assert [(label["name"], label["value"]) for label in found] == [("a", "1"), ("a", "2")]
    assert len({label["id"] for label in found}) == 2


def test_write_file_source_type_replaces_the_inherited_one(attempt):
    pointer = attempt.context.write_file("x", "o", "PROCESSED", source_type="my-lab-2")
    assert attempt.record(pointer).source["type"] == "my-lab-2"


def test_write_file_again_makes_a_new_version(attempt):
    first = attempt.context.write_file("1", "o", "PROCESSED")
    second = attempt.context.write_file("2", "o", "PROCESSED")
    assert first["fileKey"] == second["fileKey"]
    assert first["version"] != second["version"]
    assert attempt.context.read_file(first)["body"] == b"1"
    assert attempt.context.read_file({**first, "version": ""})["body"] == b"2"


def test_write_file_double_slashes_of_the_input_key_are_collapsed(world):
    attempt = world.attempt()
    key = attempt.context.write_file("x", "a//b", "TMP")["fileKey"]
    assert key.endswith("/TMP/run42.json/a/b")


@pytest.mark.parametrize("level", [0, 1, 9])
def test_write_file_gzip_level_changes_no_byte(attempt, level):
    pointer = attempt.context.write_file(b"a" * 100, "o", "PROCESSED", gzip_compress_level=level)
    assert attempt.written(pointer) == b"a" * 100


@pytest.mark.parametrize("category", ["RAW", "raw", "", None, "OTHER"])
@pytest.mark.parametrize("method", ["write_file", "write_detached_file"])
def test_write_category_that_tasks_may_not_write_is_refused(context, method, category):
    with pytest.raises(InvalidFileCategoryError, match="IDS, PROCESSED, TMP"):
        getattr(context, method)("x", "o", category)


@pytest.mark.parametrize("method", ["write_file", "write_detached_file"])
@pytest.mark.parametrize(
    "name",
    ["..", "../x", "a/../../x", "a/..", "/etc/x", "", "a/", "./x", "a/./b", "a\nb", "n" * 256],
    ids=short,
)
def test_write_name_that_leads_elsewhere_is_refused(attempt, method, name):
    with pytest.raises(InvalidPathException):
        getattr(attempt.context, method)("x", name, "PROCESSED")
    assert list(attempt.scratch.iterdir()) == []
    assert attempt.files.changes().files == ()


@pytest.mark.parametrize("name", ["a..b", "...", "..a/b"])
def test_write_file_dots_within_a_name_are_taken(attempt, name):
    assert attempt.context.write_file("x", name, "PROCESSED")["fileKey"].endswith(name)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"source_type": "Lab"}, ValueError, "source type 'Lab'"),
        ({"source_type": ""}, ValueError, "source type ''"),
        ({"ids": "common/x"}, ValueError, "'common/x' is not namespace/slug:version"),
        ({"ids": "../..:v1"}, ValueError, "is not namespace/slug:version"),
        ({"custom_metadata": {"batch": "8"}}, ValueError, "'batch' is already specified"),
        ({"custom_metadata": {"a&b": "8"}}, ValueError, "metadata key 'a&b'"),
        ({"custom_metadata": {" a": "8"}}, ValueError, "leading or trailing spaces"),
        ({"custom_metadata": {"a": "8 "}}, ValueError, "leading or trailing spaces"),
        ({"custom_metadata": {"a": "ü"}}, ValueError, "metadata value 'ü'"),
        ({"custom_metadata": {"a": ""}}, ValueError, "metadata value ''"),
        ({"custom_metadata": {5: "a"}}, TypeError, "metadata key 5"),
        ({"custom_metadata": {"a": "b" * 1534}}, ValueError, "1536"),
        ({"custom_tags": ["raw"]}, ValueError, "'raw' is specified multiple times"),
        ({"custom_tags": ["a", "a"]}, ValueError, "'a' is specified multiple times"),
        ({"custom_tags": ["a,b"]}, ValueError, "tag 'a,b'"),
        ({"custom_tags": ["a" * 129]}, ValueError, "over 128 characters"),
        ({"custom_tags": [5]}, TypeError, "tag 5"),
        ({"custom_tags": "abc"}, TypeError, "not one text"),
        ({"labels": [{"name": "a"}]}, ValueError, "lacks value"),
    ],
    ids=short,
)
@pytest.mark.parametrize("method", ["write_file", "write_ids"])
def test_write_wrong_attribute_is_refused(attempt, method, arguments, error, message):
    arguments = {"ids": IDS, **arguments}
    call = getattr(attempt.context, method)
    with pytest.raises(error, match=message):
        call(DATA, "o", file_category="IDS", **arguments)
    assert attempt.files.changes().files == ()


def test_write_file_metadata_just_below_the_limit_is_taken(attempt):
    # batch=7 & a=… and the tag raw are 1535 bytes together.
    value = "b" * (1535 - len("batch=7&a=") - len("raw"))
    pointer = attempt.context.write_file("x", "o", "PROCESSED", custom_metadata={"a": value})
    assert attempt.record(pointer).metadata["a"] == value


def test_write_file_without_input_file_says_what_to_do(world):
    context = world.attempt({"inputFile": None}).context
    with pytest.raises(ValueError, match="no input file; write_detached_file needs none"):
        context.write_file("x", "o", "PROCESSED")


def test_write_file_over_the_output_limit_is_refused(world):
    context = world.attempt(output_bytes=10).context
    context.write_file("12345", "a", "PROCESSED")
    with pytest.raises(OSError, match="over 10 bytes"):
        context.write_file("123456", "b", "PROCESSED")


def test_write_detached_file_inherits_nothing(attempt):
    pointer = attempt.context.write_detached_file("x", "sub/o.txt", "PROCESSED")
    record = attempt.record(pointer)
    assert pointer["fileKey"] == "local/pipeline-1/PROCESSED/sub/o.txt"
    assert (record.metadata, record.tags, record.source_file_id) == ({}, (), "")
    assert record.trace_id == pointer["fileId"]
    assert record.source == {"id": "pipeline-1", "type": "pipeline", "name": "Push"}


def test_write_detached_file_takes_source_and_attributes(attempt):
    pointer = attempt.context.write_detached_file(
        "x",
        "o.txt",
        "PROCESSED",
        custom_metadata={"batch": "9"},
        custom_tags=["raw"],
        source_type="robot",
        source_name="Arm",
        source_id="arm-1",
    )
    record = attempt.record(pointer)
    assert pointer["fileKey"] == "local/arm-1/PROCESSED/o.txt"
    assert record.source == {"id": "arm-1", "type": "robot", "name": "Arm"}
    assert (record.metadata, record.tags) == ({"batch": "9"}, ("raw",))


def test_write_detached_file_works_without_input_file(world):
    attempt = world.attempt({"inputFile": {}})
    assert attempt.written(attempt.context.write_detached_file("x", "o", "TMP")) == b"x"


def test_write_detached_file_without_a_bucket_is_refused(world):
    with pytest.raises(EnvironmentError, match="no bucket"):
        world.attempt(bucket="").context.write_detached_file("x", "o", "TMP")


@pytest.mark.parametrize("source_id", ["..", "a/b", ""])
def test_write_detached_file_source_id_that_is_no_folder_is_refused(context, source_id):
    with pytest.raises((ValueError, InvalidPathException), match="source id"):
        context.write_detached_file("x", "o", "TMP", source_id=source_id)


def test_write_ids_names_the_file_after_the_ids(attempt):
    pointer = attempt.context.write_ids(DATA, "run.json", IDS)
    record = attempt.record(pointer)
    assert pointer["fileKey"].endswith("/IDS/run42.json/common-plate-reader-run.json")
    assert (record.category.value, record.ids) == ("IDS", IDS)
    assert json.loads(attempt.written(pointer)) == DATA


@pytest.mark.parametrize("category", ["RAW", "PROCESSED", None, "x"])
def test_write_ids_other_category_becomes_ids(attempt, category):
    pointer = attempt.context.write_ids(DATA, "r", IDS, file_category=category)
    assert attempt.record(pointer).category.value == "IDS"


@pytest.mark.parametrize("content", ["text", b"bytes", [1], None], ids=short)
def test_write_ids_content_that_is_no_dict_is_refused(context, content):
    with pytest.raises(TypeError, match="as a dict"):
        context.write_ids(content, "r", IDS)


def test_write_ids_dict_as_tmp_is_refused(context):
    with pytest.raises(ValueError, match="as IDS only, not as TMP"):
        context.write_ids(DATA, "r", IDS, file_category="TMP")


def test_write_file_dict_of_another_category_is_refused(context):
    with pytest.raises(ValueError, match="as IDS only, not as PROCESSED"):
        context.write_file(DATA, "o", "PROCESSED")


def test_write_file_ids_metadata_is_kept_for_ids_and_tmp_only(attempt):
    write = attempt.context.write_file
    kept = {c: attempt.record(write("x", "o", c, ids=IDS)).ids for c in ("TMP", "PROCESSED")}
    assert kept == {"TMP": IDS, "PROCESSED": ""}
    metadata = attempt.context.read_file(write("x", "o", "IDS", IDS))["metadata"]
    assert metadata["ts_ids"] == IDS
    assert (metadata["ts_ids_type"], metadata["ts_ids_type_version"]) == ("plate-reader", "v1.0.0")


def test_write_file_dict_that_does_not_follow_its_ids_is_refused(attempt):
    with pytest.raises(IDSInvalidData, match=r"plate-reader:v1\.0\.0:\n\$: 'run' is a required"):
        attempt.context.write_file({"value": 1}, "o.json", "IDS", ids=IDS)
    assert attempt.files.changes().files == ()


def test_write_file_text_as_ids_is_not_validated(attempt):
    assert attempt.written(attempt.context.write_file("{}", "o", "IDS", ids=IDS)) == b"{}"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")], ids=str)
def test_write_ids_nan_is_a_number_to_the_schema_and_null_in_the_file(attempt, value):
    data = {"run": 1, "value": value, "more": [[value, 2.5]]}
    pointer = attempt.context.write_ids(data, "r", IDS)
    written = json.loads(attempt.written(pointer))
    assert written == {"run": 1, "value": None, "more": [[None, 2.5]]}


def test_write_ids_unknown_ids_is_refused(context):
    with pytest.raises(FileNotFoundError, match=f"no IDS {OTHER_IDS}"):
        context.write_ids(DATA, "r", OTHER_IDS)


@pytest.mark.parametrize(
    ("allowed", "ids", "expected"),
    [
        pytest.param(None, None, ValueError, id="absent, none given"),
        pytest.param(None, IDS, IDS, id="absent, given"),
        pytest.param([IDS], None, IDS, id="one, none given"),
        pytest.param([IDS], IDS, IDS, id="one, the same given"),
        pytest.param([IDS], OTHER_IDS, IDSNotAllowed, id="one, another given"),
        pytest.param([IDS, OTHER_IDS], None, IDSInvalidWrite, id="two, none given"),
        pytest.param([IDS, OTHER_IDS], IDS, IDS, id="two, a member given"),
        pytest.param([], None, IDSInvalidWrite, id="null, none given"),
        pytest.param([], IDS, IDSInvalidWrite, id="null, given"),
    ],
)
@pytest.mark.parametrize("method", ["write_ids", "write_file", "write_detached_file"])
def test_write_keeps_to_the_allowed_ids(world, method, allowed, ids, expected):
    attempt = world.attempt(allowed_ids=None if allowed is None else references(*allowed))
    call = getattr(attempt.context, method)
    if isinstance(expected, str):
        assert attempt.record(call(DATA, "r", ids=ids, file_category="IDS")).ids == expected
    else:
        with pytest.raises(expected):
            call(DATA, "r", ids=ids, file_category="IDS")


def test_write_file_of_another_category_ignores_the_allowed_ids(world):
    attempt = world.attempt(allowed_ids=())
    assert attempt.written(attempt.context.write_file("x", "o", "PROCESSED")) == b"x"


@pytest.fixture
def conditional(world):
    """An attempt that may write conditionally, and a file that is there already."""
    world.first = world.attempt()
    world.pointer = world.first.context.write_file("1", "o", "PROCESSED")
    world.first.files.commit()
    attempt = world.attempt()
    attempt.context.enable_experiment("conditional_writes")
    return attempt


@pytest.mark.parametrize("condition", ["if_match", "if_none_match"])
def test_conditional_write_without_the_experiment_is_refused(context, condition):
    with pytest.raises(ValueError, match="enable_experiment"):
        context.write_file("x", "o", "PROCESSED", **{condition: "*"})


def test_write_if_match_of_the_newest_version_is_done(conditional, world):
    pointer = conditional.context.write_file("2", "o", "PROCESSED", if_match=world.pointer)
    conditional.files.commit()
    assert world.catalog.latest(pointer["fileKey"]).pointer.version == pointer["version"]


def overwrite(world, content):
    other = world.attempt()
    other.context.write_file(content, "o", "PROCESSED")
    other.files.commit()


def test_write_if_match_of_an_old_version_loses(conditional, world):
    overwrite(world, "theirs")
    with pytest.raises(ConcurrentModificationError, match="does not hold"):
        conditional.context.write_file("2", "o", "PROCESSED", if_match=world.pointer)


def test_write_if_match_error_is_an_attribute_of_the_context(conditional, world):
    overwrite(world, "theirs")
    with pytest.raises(conditional.context.ConcurrentModificationError):
        conditional.context.write_file("2", "o", "PROCESSED", if_match=world.pointer)


def test_write_if_match_identical_rewrite_is_no_change(conditional, world):
    overwrite(world, "1")
    pointer = conditional.context.write_file("2", "o", "PROCESSED", if_match=world.pointer)
    assert conditional.written(pointer) == b"2"


def test_write_if_match_on_the_attempts_own_write(conditional):
    first = conditional.context.write_file("a", "p", "PROCESSED")
    conditional.context.write_file("b", "p", "PROCESSED", if_match=first)
    with pytest.raises(ConcurrentModificationError):
        conditional.context.write_file("c", "p", "PROCESSED", if_match=first)


def test_write_if_match_of_another_key_is_refused(conditional, world):
    with pytest.raises(ValueError, match="but the file to write is"):
        conditional.context.write_file("2", "other", "PROCESSED", if_match=world.pointer)


def test_write_if_match_that_is_no_pointer_is_refused(conditional):
    with pytest.raises(ValueError, match="not a file pointer"):
        conditional.context.write_file("2", "o", "PROCESSED", if_match="*")


def test_write_if_none_match_creates_once(conditional):
    conditional.context.write_file("a", "new", "PROCESSED", if_none_match="*")
    with pytest.raises(ConcurrentModificationError):
        conditional.context.write_file("b", "new", "PROCESSED", if_none_match="*")


def test_write_if_none_match_on_a_file_that_exists_loses(conditional):
    with pytest.raises(ConcurrentModificationError):
        conditional.context.write_file("2", "o", "PROCESSED", if_none_match="*")


def test_write_if_none_match_takes_the_star_only(conditional):
    with pytest.raises(ValueError, match='can be "\\*" only'):
        conditional.context.write_file("2", "new", "PROCESSED", if_none_match="etag")


def test_write_both_conditions_exclude_each_other(conditional, world):
    with pytest.raises(ValueError, match="exclude each other"):
        conditional.context.write_file(
            "2", "o", "PROCESSED", if_match=world.pointer, if_none_match="*"
        )


def test_conditional_write_of_a_stream_is_not_possible(conditional):
    with pytest.raises(NotImplementedError, match="stream"):
        conditional.context.write_file(io.BytesIO(b""), "new", "PROCESSED", if_none_match="*")


def test_conditional_write_of_5_gb_is_not_possible(conditional):
    path = conditional.scratch / "big"
    with open(path, "wb") as file:
        file.truncate(5 * 1024**3)
    params = {"scratch": "big", "fileName": "new", "category": "PROCESSED", "ifNoneMatch": "*"}
    params.update(customMetadata={}, customTags=[], labels=[])
    assert conditional.service.answer("write_file", params)["error"]["type"] == (
        "NotImplementedError"
    )
    os.unlink(path)


@pytest.mark.parametrize("method", ["write_ids", "write_detached_file"])
def test_conditions_hold_for_every_way_of_writing(conditional, method):
    arguments = {"ids": IDS, "file_category": "IDS", "if_none_match": "*"}
    call = getattr(conditional.context, method)
    call(DATA, "n", **arguments)
    with pytest.raises(ConcurrentModificationError):
        call(DATA, "n", **arguments)


def test_enable_experiment_lasts_for_one_context(world):
    first, second = world.attempt().context, world.attempt().context
    first.enable_experiment("conditional_writes")
    assert first.is_experiment_enabled("conditional_writes")
    assert not second.is_experiment_enabled("conditional_writes")


def test_enable_experiment_takes_the_enum(context):
    context.enable_experiment(Experiment.CONDITIONAL_WRITES)
    assert context.is_experiment_enabled(Experiment.CONDITIONAL_WRITES)


def test_enable_experiment_unknown_name_is_refused(context):
    with pytest.raises(ValueError, match="unknown experiment 'x'; known: conditional_writes"):
        context.enable_experiment("x")


def test_enable_experiment_graduated_name_is_logged(context, monkeypatch, capsys):
    monkeypatch.setattr("stepline_sdk.experiments.GRADUATED", frozenset({"streams"}))
    context.enable_experiment("streams")
    assert '"experiment streams is a permanent feature by now"' in capsys.readouterr().out
    assert not context.is_experiment_enabled("streams")

"""Metadata, tags and labels through a Context, with the platform's real end."""

import json

import pytest

from stepline_sdk.labels import Label
from tests.support.contexts import short


def names(labels):
    return [(label["name"], label["value"]) for label in labels]


@pytest.fixture
def file(context):
    """Pointer to the input file, as another step would hold it."""
    return {name: context.input_file[name] for name in ("bucket", "fileKey", "fileId", "version")}


def test_update_metadata_tags_makes_a_version_with_a_new_id(attempt, file):
    changed = attempt.context.update_metadata_tags(file, {"n": 5}, ["b", "a"])
    assert changed["fileKey"] == file["fileKey"]
    assert changed["fileId"] != file["fileId"]
    assert changed["version"] != file["version"]
    result = attempt.context.read_file(changed)
    assert result["custom_metadata"] == {"batch": "7", "n": "5"}
    assert result["custom_tags"] == ["a", "b", "raw"]


def test_update_metadata_tags_leaves_the_old_version_alone(attempt, file):
    attempt.context.update_metadata_tags(file, {"batch": "8"})
    assert attempt.context.read_file(file)["custom_metadata"] == {"batch": "7"}


def test_update_metadata_tags_keeps_content_labels_and_trace(attempt, file, world):
    changed = attempt.context.update_metadata_tags(file, {"n": 5})
    record = attempt.record(changed)
    assert attempt.written(changed) == world.input_bytes
    assert names(attempt.context.get_labels(changed)) == [("project", "apollo")]
    assert record.trace_id == file["fileId"]
    assert record.category.value == "RAW"


def test_update_metadata_tags_says_where_the_content_is_from(attempt, file):
    changed = attempt.context.update_metadata_tags(file, {"n": 5})
    metadata = attempt.context.read_file(changed)["metadata"]
    assert metadata["ts_content_created_from_file_id"] == file["fileId"]
    assert metadata["ts_do_not_inherit_labels"] == "true"


def test_update_metadata_tags_none_deletes_a_key(attempt, file):
    changed = attempt.context.update_metadata_tags(file, {"batch": None, "absent": None})
    assert attempt.record(changed).metadata == {}


def test_update_metadata_tags_known_tag_and_key_are_taken(attempt, file):
    changed = attempt.context.update_metadata_tags(file, {"batch": "8"}, ["raw", "raw"])
    record = attempt.record(changed)
    assert (record.metadata, record.tags) == ({"batch": "8"}, ("raw",))


@pytest.mark.parametrize(
    "arguments", [(), (None,), ({},), ({}, []), (None, ()), (None, None)], ids=short
)
def test_update_metadata_tags_nothing_given_returns_the_pointer(attempt, file, arguments):
    assert attempt.context.update_metadata_tags(file, *arguments) is file
    assert attempt.files.changes().files == ()


def test_update_metadata_tags_copies_the_newest_content(attempt):
    old = attempt.context.write_file("old", "o", "PROCESSED", custom_metadata={"n": "1"})
    attempt.context.write_file("new", "o", "PROCESSED", custom_metadata={"n": "2"})
    changed = attempt.context.update_metadata_tags(old, {"m": "3"})
    assert attempt.written(changed) == b"new"
    assert attempt.record(changed).metadata == {"batch": "7", "n": "1", "m": "3"}


def test_update_metadata_tags_takes_the_new_id_from_options(attempt, file):
    changed = attempt.context.update_metadata_tags(file, {"n": 5}, options={"new_file_id": "abc"})
    assert changed["fileId"] == "abc"


@pytest.mark.parametrize("file_id", ["a/b", "", "x" * 65, 5])
def test_update_metadata_tags_unusable_new_id_is_refused(context, file, file_id):
    with pytest.raises(ValueError, match="not a usable file id"):
        context.update_metadata_tags(file, {"n": 5}, (), {"new_file_id": file_id})


def test_update_metadata_tags_taken_new_id_is_refused(context, file):
    with pytest.raises(ValueError, match="belongs to a file already"):
        context.update_metadata_tags(file, {"n": 5}, (), {"new_file_id": file["fileId"]})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (({"n": "ü"},), ValueError, "metadata value 'ü'"),
        (({"ü": "n"},), ValueError, "metadata key 'ü'"),
        (({"n": ""},), ValueError, "metadata value ''"),
        (({"n": " x"},), ValueError, "leading or trailing spaces"),
        ((None, ["ü"]), ValueError, "tag 'ü'"),
        ((None, ["a,b"]), ValueError, "tag 'a,b'"),
        ((None, [5]), TypeError, "tag 5"),
        ((None, [None]), TypeError, "tag None"),
        ((None, ["x" * 129]), ValueError, "over 128 characters"),
        (({"n": "x" * 1530},), ValueError, "1536"),
        (({"n": "/" * 510},), ValueError, "1536"),
    ],
    ids=short,
)
def test_update_metadata_tags_wrong_value_is_refused(attempt, file, arguments, error, message):
    with pytest.raises(error, match=message):
        attempt.context.update_metadata_tags(file, *arguments)
    assert attempt.files.changes().files == ()


def test_add_labels_returns_all_labels_and_makes_no_version(attempt, file):
    found = attempt.context.add_labels(file, [Label("a", "1"), {"name": "b", "value": "2"}])
    assert names(found) == [("project", "apollo"), ("a", "1"), ("b", "2")]
    assert len({label["id"] for label in found}) == 3
    assert attempt.files.changes().files == ()
    assert attempt.context.get_labels(file) == found


def test_add_labels_takes_several_values_of_a_name(context, file):
    found = context.add_labels(file, [Label("project", "gemini")])
    assert names(found) == [("project", "apollo"), ("project", "gemini")]


def test_add_labels_pair_that_is_there_changes_nothing(context, file):
    before = context.get_labels(file)
    assert context.add_labels(file, [Label("project", "apollo")]) == before


@pytest.mark.parametrize("labels", [None, [], ()], ids=short)
def test_add_labels_without_labels_warns_and_returns_the_present_ones(
    context, file, labels, capsys
):
    assert names(context.add_labels(file, labels)) == [("project", "apollo")]
    record = json.loads(capsys.readouterr().out)
    assert (record["level"], record["message"]) == (
        "warning",
        "add_labels was called without labels",
    )


def test_add_labels_reports_all_faults_at_once(context, file):
    labels = [
        "text",
        {"name": "a"},
        {"name": "a", "value": "b", "more": 1},
        {"name": 5, "value": "b"},
        Label("a", 6.5),
        Label("", "b"),
        Label("a", "line\nbreak"),
        Label("back\\slash", "b"),
        Label("a", "\ufffe"),
        Label("n" * 129, "b"),
        Label("a", "v" * 257),
        Label(" a", "b"),
        Label("twice", "x"),
        Label("twice", "x"),
        Label("a", object()),
    ]
    with pytest.raises(ValueError, match="is not text") as caught:
        context.add_labels(file, labels)
    assert len(str(caught.value).splitlines()) == len(labels) - 1


@pytest.mark.parametrize(
    "label",
    [
        Label("n" * 128, "v" * 256),
        Label("ünï & <ö>", "a,b;c='d' \"e\" \t %"),
        {"value": "x", "name": "y"},
    ],
    ids=["longest", "characters", "other order"],
)
def test_add_labels_takes_what_the_rules_allow(context, file, label):
    assert len(context.add_labels(file, [label])) == 2


def test_add_labels_that_cannot_be_iterated_are_refused(context, file):
    with pytest.raises(ValueError, match="list of labels, not of type int"):
        context.add_labels(file, 5)


@pytest.mark.parametrize("no_propagate", [True, False])
def test_delete_labels_removes_by_id(attempt, file, no_propagate):
    added = attempt.context.add_labels(file, [Label("a", "1")], no_propagate)
    number = next(label["id"] for label in added if label["name"] == "a")
    left = attempt.context.delete_labels(file, [number], no_propagate)
    assert names(left) == [("project", "apollo")]
    assert names(attempt.context.delete_labels(file, [1])) == []


@pytest.mark.parametrize("numbers", [[], None, [999]], ids=short)
def test_delete_labels_without_a_known_id_changes_nothing(context, file, numbers):
    assert names(context.delete_labels(file, numbers)) == [("project", "apollo")]


@pytest.mark.parametrize("numbers", [["1"], [1.5], [True]], ids=short)
def test_delete_labels_id_of_another_type_is_refused(context, file, numbers):
    with pytest.raises(TypeError, match="label ids are integers"):
        context.delete_labels(file, numbers)


def test_labels_take_a_pointer_without_id(context, file):
    del file["fileId"]
    assert names(context.get_labels(file)) == [("project", "apollo")]


def test_labels_of_a_file_that_the_attempt_wrote(attempt):
    pointer = attempt.context.write_file("x", "o", "PROCESSED", labels=[Label("a", "1")])
    attempt.context.add_labels(pointer, [Label("b", "2")])
    first = attempt.context.get_labels(pointer)[0]
    assert names(attempt.context.delete_labels(pointer, [first["id"]])) == [("b", "2")]


def test_add_attributes_labels_only_adds_them_to_the_same_version(attempt, file):
    assert attempt.context.add_attributes(file, labels=[Label("a", "1")]) is file
    assert names(attempt.context.get_labels(file)) == [("project", "apollo"), ("a", "1")]


def test_add_attributes_with_metadata_replaces_the_labels(attempt, file):
    changed = attempt.context.add_attributes(file, {"n": 5}, ["t"], [Label("a", "1")])
    record = attempt.record(changed)
    assert changed["fileId"] != file["fileId"]
    assert names(attempt.context.get_labels(changed)) == [("a", "1")]
    assert names(attempt.context.get_labels(file)) == [("project", "apollo")]
    assert (record.metadata, record.tags) == ({"batch": "7", "n": "5"}, ("raw", "t"))


def test_add_attributes_with_tags_and_no_labels_keeps_them(attempt, file):
    changed = attempt.context.add_attributes(file, custom_tags=["t"])
    assert names(attempt.context.get_labels(changed)) == [("project", "apollo")]


def test_add_attributes_without_any_warns_and_returns_the_pointer(context, file, capsys):
    assert context.add_attributes(file) is file
    record = json.loads(capsys.readouterr().out)
    assert record["message"] == "add_attributes was called without attributes"


def test_add_attributes_wrong_label_makes_no_version(attempt, file):
    with pytest.raises(ValueError, match="lacks value"):
        attempt.context.add_attributes(file, {"n": 5}, (), [{"name": "a"}])
    assert attempt.files.changes().files == ()


def test_label_equality_and_repr():
    assert Label("a", "1") == Label(name="a", value="1")
    assert Label("a", "1") != Label("a", "2")
    assert Label("a", "1") != ("a", "1")
    assert len({Label("a", "1"), Label("a", "1")}) == 1
    assert repr(Label("a", "1")) == "Label(name='a', value='1')"

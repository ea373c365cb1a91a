"""What an attempt stages is its own until it is committed, in one go."""

import os

import pytest

from stepline.ports.files import FileConflict
from stepline_sdk.labels import Label


def all_files(folder):
    return [os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names]


def test_staged_file_is_seen_by_its_attempt_only(world):
    one, other = world.attempt(), world.attempt()
    pointer = one.context.write_file("x", "o", "PROCESSED")
    assert one.context.read_file(pointer)["body"] == b"x"
    with pytest.raises(FileNotFoundError):
        other.context.read_file(pointer)
    assert world.catalog.get(pointer["fileId"]) is None


def test_commit_makes_everything_visible(world):
    attempt = world.attempt()
    pointer = attempt.context.write_file("x", "o", "PROCESSED", labels=[Label("a", "1")])
    attempt.context.add_labels(attempt.context.input_file, [Label("b", "2")])
    changed = attempt.context.update_metadata_tags(attempt.context.input_file, {"n": "5"})
    attempt.files.commit()
    later = world.attempt().context
    assert later.read_file(pointer)["body"] == b"x"
    assert [label["name"] for label in later.get_labels(pointer)] == ["a"]
    assert [label["name"] for label in later.get_labels(later.input_file)] == ["project", "b"]
    assert later.read_file(changed)["custom_metadata"] == {"batch": "7", "n": "5"}


def test_labels_of_an_older_file_are_staged(world):
    one, other = world.attempt(), world.attempt()
    file = one.context.input_file
    one.context.add_labels(file, [Label("b", "2")])
    one.context.delete_labels(file, [1])
    assert [label["name"] for label in one.context.get_labels(file)] == ["b"]
    assert [label["name"] for label in other.context.get_labels(file)] == ["project"]
    one.files.commit()
    assert [label["name"] for label in other.context.get_labels(file)] == ["b"]


def test_label_added_and_deleted_again_is_no_change(world):
    attempt = world.attempt()
    file = attempt.context.input_file
    added = attempt.context.add_labels(file, [Label("b", "2")])
    attempt.context.delete_labels(file, [added[-1]["id"]])
    attempt.files.commit()
    assert world.catalog.get(world.input.pointer.file_id).labels == world.input.labels


def test_discard_leaves_nothing(world):
    attempt = world.attempt()
    pointer = attempt.context.write_file("x", "o", "PROCESSED")
    attempt.context.add_labels(attempt.context.input_file, [Label("b", "2")])
    attempt.files.discard()
    assert world.catalog.get(pointer["fileId"]) is None
    assert world.catalog.get(world.input.pointer.file_id).labels == world.input.labels
    assert all_files(world.root / "store") == []
    assert attempt.files.taken_bytes == 0


def test_retried_attempt_leaves_no_doubles(world):
    failed, retried = world.attempt(), world.attempt()
    for attempt in (failed, retried):
        attempt.context.write_file("x", "o", "PROCESSED")
        attempt.context.add_labels(attempt.context.input_file, [Label("b", "2")])
    failed.files.discard()
    retried.files.commit()
    assert len(list(world.catalog.newest())) == 2
    assert len(world.catalog.get(world.input.pointer.file_id).labels) == 2


def test_commit_checks_preconditions_again(world):
    one, other = world.attempt(), world.attempt()
    for attempt in (one, other):
        attempt.context.enable_experiment("conditional_writes")
        attempt.context.write_file(attempt.tmp.name, "o", "PROCESSED", if_none_match="*")
    extra = other.context.write_file("y", "p", "PROCESSED")
    one.files.commit()
    with pytest.raises(FileConflict, match="modified by somebody else"):
        other.files.commit()
    assert world.catalog.get(extra["fileId"]) is None
    assert len(all_files(world.root / "store")) == 1


def test_commit_if_match_that_was_lost_meanwhile_fails(world):
    first = world.attempt()
    pointer = first.context.write_file("1", "o", "PROCESSED")
    first.files.commit()
    one, other = world.attempt(), world.attempt()
    for attempt in (one, other):
        attempt.context.enable_experiment("conditional_writes")
        attempt.context.write_file(attempt.tmp.name, "o", "PROCESSED", if_match=pointer)
    other.files.commit()
    with pytest.raises(FileConflict):
        one.files.commit()


def test_commit_own_overwrite_needs_the_first_precondition_only(world):
    attempt = world.attempt()
    attempt.context.enable_experiment("conditional_writes")
    first = attempt.context.write_file("1", "o", "PROCESSED", if_none_match="*")
    attempt.context.write_file("2", "o", "PROCESSED", if_match=first)
    attempt.files.commit()
    assert world.catalog.latest(first["fileKey"]).size == 1


def test_two_attempts_with_the_same_new_id_do_not_both_commit(world):
    one, other = world.attempt(), world.attempt()
    for attempt in (one, other):
        options = {"new_file_id": "same"}
        attempt.context.update_metadata_tags(attempt.context.input_file, {"n": "5"}, (), options)
    one.files.commit()
    with pytest.raises(FileConflict):
        other.files.commit()


def test_equal_contents_are_kept_once(world):
    attempt = world.attempt()
    for name in ("a", "b"):
        attempt.context.write_file("same", name, "PROCESSED")
    assert len(all_files(world.root / "store")) == 1
    attempt.files.commit()
    assert len(all_files(world.root / "store")) == 1


def test_metadata_change_keeps_the_bytes_where_they_are(world):
    attempt = world.attempt()
    attempt.context.update_metadata_tags(attempt.context.input_file, {"n": "5"})
    attempt.files.commit()
    assert all_files(world.root / "store") == []


def test_write_over_a_file_with_staged_labels_is_the_newest(world):
    first = world.attempt()
    pointer = first.context.write_file("1", "o", "PROCESSED")
    first.files.commit()
    attempt = world.attempt()
    attempt.context.add_labels(pointer, [Label("b", "2")])
    second = attempt.context.write_file("2", "o", "PROCESSED")
    found = attempt.context.search_eql({"query": {"match_all": {}}}, "filePointers")
    assert found == [world.input.pointer.to_plain(), second]

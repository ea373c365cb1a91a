"""What refers to blobs: file versions, archives, builds in progress."""

from dataclasses import replace

import pytest

from stepline.model.artifact import Build, BuildStatus
from tests.contract.state_suite.registry import artifact, name, publish
from tests.contract.state_suite.values import commit, file, read


def in_use(state, *names):
    return read(state, lambda view: view.references.in_use(names))


def build(state, status, archive="blob-b"):
    made = Build(
        id="b-1", name=name(), archive=archive, forced=False, status=status, created_at="t"
    )
    state.write(lambda transaction: transaction.artifacts.put_build(made))


def test_state_references_of_versions_last_when_files_are_replaced_or_deleted(state):
    commit(state, file(1, blob="blob-1"), file(2, blob="blob-2"))
    commit(state, file(3, blob="blob-2"), file(4, "other", blob=""))
    state.write(lambda transaction: transaction.files.delete("f-3"))
    assert in_use(state, "blob-1", "blob-2", "blob-3") == {"blob-1", "blob-2"}
    assert in_use(state) == frozenset()


def test_state_references_of_more_names_than_a_statement_takes(state):
    names = [f"blob-{number}" for number in range(1, 1501)]
    commit(state, *(file(number, blob=f"blob-{number}") for number in (1, 700, 1500)))
    assert in_use(state, *names) == {"blob-1", "blob-700", "blob-1500"}


def test_state_references_of_archives_outlast_versions_and_moves(state):
    publish(state, artifact(name()), artifact(name(), digest="sha256:bb", archive="blob-b"))
    state.write(lambda transaction: transaction.artifacts.delete(name()))
    assert in_use(state, "blob-a", "blob-b", "blob-c") == {"blob-a", "blob-b"}


def test_state_references_have_both_archives_of_one_content(state):
    other = artifact(name("v2.0.0"), archive="blob-b")
    publish(state, artifact(name()), other)
    assert in_use(state, "blob-a", "blob-b") == {"blob-a", "blob-b"}


@pytest.mark.parametrize("status", BuildStatus)
def test_state_references_of_builds_last_while_they_are_in_progress(state, status):
    build(state, status)
    expected = {"blob-b"} if status is BuildStatus.IN_PROGRESS else set()
    assert in_use(state, "blob-b") == expected


def test_state_referenced_blobs_come_in_order_without_doubles(state):
    commit(state, *(file(number, blob=f"blob-{number % 7}") for number in range(1, 20)))
    publish(state, artifact(name(), archive="blob-3x"))
    publish(state, artifact(name("v2.0.0"), digest="sha256:bb", archive="blob-5"))
    build(state, BuildStatus.IN_PROGRESS, archive="blob-1")
    found, after = [], ""
    while part := read(state, lambda view, a=after: view.references.blobs(after=a, limit=3)):
        assert len(part) <= 3
        found, after = [*found, *part], part[-1]
    assert found == sorted([*(f"blob-{number}" for number in range(7)), "blob-3x"])


def test_state_users_of_a_blob_are_versions_and_artifacts(state):
    commit(state, *(file(number, blob="blob-a") for number in (1, 2, 3)), file(4, blob="blob-b"))
    publish(state, artifact(name()), artifact(name("v2.0.0"), archive="blob-z"))
    # Of one content the newest archive is the one that is unpacked; both versions need it.
    users = read(state, lambda view: view.references.users("blob-z", limit=2))
    assert (list(users.files), users.total) == ([], 0)
    assert list(users.artifacts) == [name(), name("v2.0.0")]
    users = read(state, lambda view: view.references.users("blob-a", limit=2))
    assert [record.blob for record in users.files] == ["blob-a", "blob-a"]
    assert [record.pointer.file_id for record in users.files] == ["f-1", "f-2"]
    assert (users.total, list(users.artifacts)) == (3, [name()])


def test_state_file_record_keeps_its_blob(state):
    record = file(1, blob="blob-1")
    commit(state, record)
    assert read(state, lambda view: view.files.get("f-1")) == record
    assert replace(record, blob="") != record

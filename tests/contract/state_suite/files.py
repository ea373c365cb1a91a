"""Files: pages, versions, deletion, provenance; `catalog` has what every catalog promises."""

import pytest

from stepline.ports.files import FileConflict, Precondition
from tests.contract.state_suite.values import commit, file, read

KEY = "org/src/RAW/a.csv"


def ids(records):
    return [record.pointer.file_id for record in records]


def delete(state, file_id):
    state.write(lambda transaction: transaction.files.delete(file_id))


def test_state_files_page_gives_all_in_the_order_of_commits(state):
    commit(state, *(file(number, f"org/{number % 3}/{number}") for number in range(1, 8)))
    commit(state, file(8, "org/1/1"))
    found, after, parts = [], 0, 0
    while parts == 0 or after:
        page = read(state, lambda view, after=after: view.files.page(after=after, limit=3))
        assert page.total == 7
        found, after, parts = [*found, *ids(page.items)], page.after, parts + 1
    assert (found, parts) == (["f-2", "f-3", "f-4", "f-5", "f-6", "f-7", "f-8"], 3)


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("", ["f-1", "f-2", "f-3", "f-4"]),
        ("a/", ["f-1", "f-2"]),
        ("a/b", ["f-2"]),
        ("A", []),
        ("a_", []),
        ("é", ["f-4"]),
        ("\U0010ffff", []),
        ("\ud800", []),
    ],
)
def test_state_files_page_of_a_prefix_gives_those_that_begin_so(state, prefix, found):
    keys = ["a/a", "a/b", "b", "é/x"]
    commit(state, *(file(number, key) for number, key in enumerate(keys, 1)))
    page = read(state, lambda view: view.files.page(prefix=prefix))
    assert (ids(page.items), page.total, page.after) == (found, len(found), 0)


def test_state_files_versions_come_oldest_first(state):
    commit(state, file(1), file(2, "other"))
    commit(state, file(3))
    assert ids(read(state, lambda view: view.files.versions(KEY))) == ["f-1", "f-3"]


def test_state_files_deleted_file_is_hidden_but_known(state):
    commit(state, file(1), file(2), file(3, "other", provenance={"workflowId": "w-1"}))
    delete(state, "f-2")
    delete(state, "f-3")
    delete(state, "gone")
    with state.read() as view:
        assert view.files.latest(KEY) is None
        assert view.files.search({})["hits"]["total"]["value"] == 0
        assert (view.files.page().items, view.files.page().total) == ([], 0)
        assert ids(view.files.versions(KEY)) == ["f-1"]
        assert view.files.get("f-2") == file(2)
        assert ids(view.files.written_by("w-1")) == ["f-3"]


def test_state_files_deleted_old_version_changes_nothing_else(state):
    commit(state, file(1), file(2))
    delete(state, "f-1")
    with state.read() as view:
        assert view.files.latest(KEY) == file(2)
        assert ids(view.files.versions(KEY)) == ["f-2"]


def test_state_files_key_of_a_deleted_file_is_free_again(state):
    commit(state, file(1))
    delete(state, "f-1")
    commit(state, file(2), preconditions=(Precondition(KEY, None),))
    with state.read() as view:
        assert view.files.latest(KEY) == file(2)
        assert view.files.page().total == 1


def test_state_files_written_by_gives_what_the_workflow_wrote(state):
    origin = {"workflowId": "w-1"}
    commit(state, file(1), file(2, "b", provenance=origin), file(3, "a", provenance=origin))
    with state.read() as view:
        assert ids(view.files.written_by("w-1")) == ["f-2", "f-3"]
        assert list(view.files.written_by("")) == []


def test_state_files_same_id_twice_in_one_commit_is_a_conflict(state):
    with pytest.raises(FileConflict):
        commit(state, file(1), file(1, "other"))
    assert read(state, lambda view: view.files.get("f-1")) is None


def test_state_files_text_of_any_kind_comes_back(state):
    odd = file(1, "org/\u0001é\U0001f600'\"/%_", metadata={"a": "\ud800\0"}, tags=("", "ü"))
    commit(state, odd)
    assert read(state, lambda view: view.files.latest(odd.pointer.key)) == odd

"""What every file catalog promises; an adapter joins by one line in `CATALOGS`."""

from dataclasses import replace

import pytest

from stepline.model.file import FileCategory, FilePointer, FileRecord, Label
from stepline.plugins.files_local.catalog import MemoryCatalog
from stepline.ports.files import Changes, FileConflict, LabelEdit, Precondition

CATALOGS = {"memory": MemoryCatalog}
KEY = "local/source/PROCESSED/raw.csv/out.csv"


@pytest.fixture(params=CATALOGS)
def catalog(request):
    """An empty catalog."""
    return CATALOGS[request.param]()


def record(number, key=KEY, sha256="", labels=()):
    return FileRecord(
        pointer=FilePointer("local", key, file_id=f"id-{number}", version=f"v-{number}"),
        category=FileCategory.PROCESSED,
        size=number,
        sha256=sha256,
        metadata={"a": "b"},
        tags=("t",),
        labels=labels,
        provenance={"pipelineHistory": ["p"]},
    )


def commit(catalog, *files, **changes):
    catalog.commit(Changes(files=files, **changes))


def test_empty_catalog_knows_nothing(catalog):
    assert catalog.get("id-1") is None
    assert catalog.version(KEY, "v-1") is None
    assert catalog.latest(KEY) is None
    assert list(catalog.newest()) == []


def test_committed_record_is_found_in_every_way(catalog):
    one = record(1)
    commit(catalog, one)
    assert catalog.get("id-1") == catalog.version(KEY, "v-1") == catalog.latest(KEY) == one
    assert list(catalog.newest()) == [one]


def test_newer_version_is_the_latest_and_the_older_one_stays(catalog):
    commit(catalog, record(1))
    commit(catalog, record(2))
    assert catalog.latest(KEY) == record(2)
    assert catalog.version(KEY, "v-1") == catalog.get("id-1") == record(1)


def test_versions_of_one_commit_come_in_order(catalog):
    commit(catalog, record(1), record(2))
    assert catalog.latest(KEY) == record(2)


def test_newest_gives_each_file_once_in_the_order_of_commits(catalog):
    commit(catalog, record(1), record(2, key="other"))
    commit(catalog, record(3))
    assert [one.pointer.file_id for one in catalog.newest()] == ["id-2", "id-3"]


@pytest.mark.parametrize("version", ["", "v-9"])
def test_version_that_does_not_exist_is_none(catalog, version):
    commit(catalog, record(1))
    assert catalog.version(KEY, version) is None
    assert catalog.version("other", "v-1") is None


def test_label_edit_adds_and_removes(catalog):
    commit(catalog, record(1, labels=(Label("a", "1", id=1), Label("b", "2", id=2))))
    commit(catalog, labels=(LabelEdit("id-1", added=(Label("c", "3", id=3),), removed=(1,)),))
    assert catalog.get("id-1").labels == (Label("b", "2", id=2), Label("c", "3", id=3))
    assert catalog.latest(KEY).labels == catalog.get("id-1").labels


def test_label_edit_makes_no_version(catalog):
    commit(catalog, record(1))
    commit(catalog, labels=(LabelEdit("id-1", added=(Label("c", "3", id=3),)),))
    assert catalog.latest(KEY).pointer == record(1).pointer


def test_label_pair_that_is_there_is_not_added_again(catalog):
    commit(catalog, record(1, labels=(Label("a", "1", id=1),)))
    commit(catalog, labels=(LabelEdit("id-1", added=(Label("a", "1", id=9),)),))
    assert catalog.get("id-1").labels == (Label("a", "1", id=1),)


def test_label_edit_of_a_file_that_is_gone_changes_nothing(catalog):
    commit(catalog, record(1), labels=(LabelEdit("gone", added=(Label("a", "1", id=1),)),))
    assert catalog.get("gone") is None
    assert catalog.get("id-1") == record(1)


def test_label_edit_works_on_a_file_of_the_same_commit(catalog):
    commit(catalog, record(1), labels=(LabelEdit("id-1", added=(Label("a", "1", id=1),)),))
    assert catalog.get("id-1").labels == (Label("a", "1", id=1),)


def test_new_label_ids_never_repeat(catalog):
    commit(catalog, record(1, labels=(Label("a", "1", id=70),)))
    numbers = [*catalog.new_label_ids(2), *catalog.new_label_ids(1), *catalog.new_label_ids(0)]
    assert len(set(numbers) | {70}) == 4
    commit(catalog, labels=(LabelEdit("id-1", removed=(70,)),))
    assert not set(catalog.new_label_ids(2)) & {70, *numbers}


@pytest.mark.parametrize(
    ("precondition", "good"),
    [
        pytest.param(Precondition(KEY, "aa"), True, id="same content"),
        pytest.param(Precondition(KEY, "bb"), False, id="other content"),
        pytest.param(Precondition(KEY, None), False, id="absent, but there"),
        pytest.param(Precondition("new", None), True, id="absent"),
        pytest.param(Precondition("new", "aa"), False, id="there, but absent"),
    ],
)
def test_precondition_decides_about_the_whole_commit(catalog, precondition, good):
    commit(catalog, record(1, sha256="aa"))
    edit = LabelEdit("id-1", added=(Label("a", "1", id=1),))
    changes = Changes((record(2, key="more"),), (edit,), (precondition,))
    if good:
        catalog.commit(changes)
    else:
        with pytest.raises(FileConflict) as caught:
            catalog.commit(changes)
        assert caught.value.key == precondition.key
    assert (catalog.get("id-2") is not None) is good
    assert bool(catalog.get("id-1").labels) is good


def test_precondition_is_about_the_state_before_the_commit(catalog):
    commit(catalog, record(1), preconditions=(Precondition(KEY, None),))
    assert catalog.latest(KEY) == record(1)


def test_file_id_that_exists_is_a_conflict_and_changes_nothing(catalog):
    commit(catalog, record(1))
    with pytest.raises(FileConflict):
        commit(catalog, record(2), replace(record(1), size=99))
    assert (catalog.get("id-1"), catalog.get("id-2")) == (record(1), None)


def test_record_comes_back_whole(catalog):
    whole = FileRecord(
        pointer=FilePointer("b", KEY, file_id="i", version="v"),
        category=FileCategory.IDS,
        size=5,
        sha256="aa",
        created_at="2030-01-01T00:00:00Z",
        source={"id": "s", "type": "t", "name": "n"},
        metadata={"k": "v"},
        tags=("a", "b"),
        labels=(Label("n", "v", id=4),),
        ids="common/x:v1",
        source_file_id="src",
        trace_id="trace",
        provenance={"workflowId": "w", "pipelineHistory": ["p", "q"]},
        blob="sha256:aa",
    )
    commit(catalog, whole)
    assert catalog.get("i") == whole

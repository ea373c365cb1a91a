"""Files of the user: the input, and folders of further files."""

import json
import os
import uuid

import pytest

from stepline.errors import PlatformError, UploadError
from stepline.model.file import FileCategory, Label
from stepline.plugins.files_local.lake import load_lake, local_file, name_uuid
from stepline.plugins.files_local.store import FolderStore


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    return FolderStore(str(tmp_path / "store"))


@pytest.fixture
def folder(tmp_path):
    """A folder with a file and a folder with another."""
    made = tmp_path / "lake"
    (made / "sub").mkdir(parents=True)
    (made / "a.csv").write_text("a")
    (made / "sub" / "b.csv").write_text("bb")
    return made


def describe(folder, *entries):
    (folder / "files.json").write_text(json.dumps(list(entries)))


@pytest.mark.parametrize("name", ["", "/data/run 42.json", "/grün"])
def test_name_uuid_is_version_5_in_the_namespace_of_addresses(name):
    assert name_uuid(name) == str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def test_local_file_key_is_made_of_its_path(store, folder):
    record = local_file(str(folder / "a.csv"), store=store)
    source_id = str(uuid.uuid5(uuid.NAMESPACE_URL, str(folder / "a.csv")))
    assert record.pointer.key == f"local/{source_id}/RAW/a.csv"
    assert (record.category, record.size, record.sha256) == (FileCategory.RAW, 1, "")
    assert record.source == {"id": source_id, "type": "local", "name": "local"}


def test_local_file_is_the_same_by_any_path(store, folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert local_file("sub/../a.csv", store=store) == local_file(str(folder / "a.csv"), store=store)


def test_local_file_that_changed_is_another_version_of_the_same_key(store, folder):
    before = local_file(str(folder / "a.csv"), store=store)
    (folder / "a.csv").write_text("changed")
    after = local_file(str(folder / "a.csv"), store=store)
    assert after.pointer.key == before.pointer.key
    assert after.pointer.file_id != before.pointer.file_id
    assert after.pointer.version != before.pointer.version


def test_local_file_is_not_copied_and_read_where_it_is(store, folder, tmp_path):
    record = local_file(str(folder / "a.csv"), store=store)
    assert store.local_path(record.blob) == str(folder / "a.csv")
    assert not (tmp_path / "store").exists()


def test_local_file_digest_is_computed_when_asked_for(store, folder):
    record = local_file(str(folder / "a.csv"), store=store)
    assert store.digest(record.blob).startswith("ca978112ca1bbdca")


def test_local_file_that_changed_is_refused_when_read(store, folder):
    record = local_file(str(folder / "a.csv"), store=store)
    (folder / "a.csv").write_text("changed")
    with pytest.raises(PlatformError, match="was changed"):
        store.open(record.blob)


@pytest.mark.parametrize(
    ("name", "message"),
    [("nothing", "there is no file"), ("sub", "is a folder"), ("pipe", "not a plain file")],
)
def test_local_file_that_is_none_is_refused(store, folder, name, message):
    os.mkfifo(folder / "pipe")
    with pytest.raises(UploadError, match=message):
        local_file(str(folder / name), store=store)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_local_file_that_may_not_be_read_is_refused(store, folder):
    (folder / "a.csv").chmod(0)
    with pytest.raises(UploadError, match="may not be read"):
        local_file(str(folder / "a.csv"), store=store)


def test_local_file_name_that_is_no_unicode_is_refused(store, folder):
    path = os.fsencode(folder) + b"/\xff.csv"
    with open(path, "wb"):
        pass
    with pytest.raises(UploadError, match="not valid UTF-8"):
        local_file(os.fsdecode(path), store=store)


def test_lake_without_description_holds_raw_files(store, folder):
    lake = load_lake(str(folder), store=store)
    assert [(record.name, record.category.value) for record in lake.records] == [
        ("a.csv", "RAW"),
        ("b.csv", "RAW"),
    ]
    assert [record.size for record in lake.records] == [1, 2]


def test_lake_description_gives_everything(store, folder):
    entry = {
        "path": "sub/b.csv",
        "category": "PROCESSED",
        "file": {"bucket": "b", "fileKey": "o/s/PROCESSED/b", "fileId": "i", "version": "v"},
        "source": {"id": "s", "type": "reader", "name": "Reader"},
        "metadata": {"k": "v"},
        "tags": ["z", "a"],
        "labels": [{"name": "n", "value": "v"}, {"id": 7, "name": "n", "value": "w"}],
        "ids": "common/x:v1",
        "traceId": "t",
        "sourceFileId": "r",
        "createdAt": "2030-01-01T00:00:00Z",
        "provenance": {"workflowId": "w"},
    }
    describe(folder, entry)
    record = load_lake(str(folder), store=store).records[1]
    assert record.pointer.to_plain() == {"type": "s3file", **entry["file"]}
    assert record.labels == (Label("n", "v", id=8), Label("n", "w", id=7))
    assert (record.tags, record.metadata) == (("a", "z"), {"k": "v"})
    plain = {**record.to_plain(), "path": "sub/b.csv"}
    same = entry.keys() - {"labels", "tags", "file"}
    assert {name: plain[name] for name in same} == {name: entry[name] for name in same}


def test_lake_description_needs_little(store, folder):
    describe(folder, {"path": "a.csv", "category": "IDS", "source": {"id": "reader-1"}})
    record = load_lake(str(folder), store=store).records[0]
    assert record.pointer.key == "local/reader-1/IDS/a.csv"
    assert record.source == {"id": "reader-1", "type": "local", "name": "local"}


def test_lake_file_that_is_not_described_is_raw(store, folder):
    describe(folder, {"path": "a.csv", "category": "IDS"})
    categories = [record.category.value for record in load_lake(str(folder), store=store).records]
    assert categories == ["IDS", "RAW"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("text", "a file is an object"),
        ({}, "it has no path"),
        ({"path": 5}, "path 5 is not"),
        ({"path": "../x"}, "path '../x' is not"),
        ({"path": "/etc/passwd"}, "is not that of a file in the folder"),
        ({"path": "nothing"}, "there is no file 'nothing'"),
        ({"path": "a.csv", "category": "raw"}, "category 'raw' is not one of RAW, IDS"),
        ({"path": "a.csv", "file": {"fileKey": "../x"}}, "file.fileKey '../x'"),
        ({"path": "a.csv", "file": {"fileId": 5}}, "file.fileId is not text"),
        ({"path": "a.csv", "metadata": []}, "metadata is not an object"),
        ({"path": "a.csv", "metadata": {"a": 5}}, "metadata.a is not text"),
        ({"path": "a.csv", "metadata": {"a": "ü"}}, "metadata value 'ü'"),
        ({"path": "a.csv", "tags": "t"}, "tags is not a list"),
        ({"path": "a.csv", "tags": [5]}, "tag 5 is not text"),
        ({"path": "a.csv", "tags": ["a,b"]}, "tag 'a,b'"),
        ({"path": "a.csv", "labels": [{"name": "a"}]}, "lacks value"),
        ({"path": "a.csv", "labels": [{"id": "1", "name": "a", "value": "b"}]}, "label id '1'"),
        ({"path": "a.csv", "ids": 5}, "ids is not text"),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_lake_description_with_a_fault_is_refused(store, folder, entry, message):
    describe(folder, {"path": "a.csv"}, entry)
    with pytest.raises(UploadError) as caught:
        load_lake(str(folder), store=store)
    (problem,) = caught.value.problems
    assert problem.where.path == str(folder / "files.json")
    assert problem.message.startswith("entry 1: ")
    assert message in problem.message


def test_lake_description_faults_are_told_all_at_once(store, folder):
    describe(folder, {"path": "a.csv", "category": "x", "tags": ["a,b"]}, 5)
    with pytest.raises(UploadError, match="has 3 problems"):
        load_lake(str(folder), store=store)


def test_lake_description_that_is_broken_json_names_the_position(store, folder):
    (folder / "files.json").write_text("[\n  oops]")
    with pytest.raises(UploadError) as caught:
        load_lake(str(folder), store=store)
    assert (caught.value.where.line, caught.value.where.column) == (2, 3)


@pytest.mark.parametrize("text", ["{}", "5", "\udcff"], ids=["object", "number", "bytes"])
def test_lake_description_that_is_no_list_is_refused(store, folder, text):
    (folder / "files.json").write_text(text, errors="surrogateescape")
    with pytest.raises(UploadError, match=r"files\.json"):
        load_lake(str(folder), store=store)


def test_lake_two_files_with_one_id_are_refused(store, folder):
    pointer = {"fileId": "same"}
    describe(folder, {"path": "a.csv", "file": pointer}, {"path": "sub/b.csv", "file": pointer})
    with pytest.raises(UploadError, match="two files have the fileId 'same'"):
        load_lake(str(folder), store=store)


def test_lake_folder_that_does_not_exist_is_refused(store, tmp_path):
    with pytest.raises(UploadError, match="there is no folder"):
        load_lake(str(tmp_path / "nothing"), store=store)


def test_lake_input_file_in_the_lake_is_the_lakes(store, folder):
    describe(folder, {"path": "a.csv", "metadata": {"k": "v"}})
    lake = load_lake(str(folder), store=store)
    assert lake.input_file(str(folder / "a.csv"), store=store).metadata == {"k": "v"}


def test_lake_input_file_gets_the_labels_that_an_earlier_run_noted(store, folder, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("x")
    record = local_file(str(path), store=store).with_labels((Label("a", "1", id=3),))
    describe(folder, {"path": None, **record.to_plain()})
    lake = load_lake(str(folder), store=store)
    assert lake.input_file(str(path), store=store) == record
    assert len(lake.records) == 2


def test_load_lake_of_an_earlier_runs_results_leaves_its_record_out(store, folder):
    describe(folder, {"path": "a.csv"})
    for name in ("workflow.json", "workflow.log"):
        (folder / name).write_text("{}")
        (folder / "sub" / name).write_text("{}")
    names = [record.name for record in load_lake(str(folder), store=store).records]
    assert names == ["a.csv", "b.csv", "workflow.json", "workflow.log"]

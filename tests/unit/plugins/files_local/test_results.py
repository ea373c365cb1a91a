"""The results folder, and how it feeds the next run."""

import json
import os
from dataclasses import replace

import pytest

from stepline.errors import PlatformError, SettingsError, UploadError
from stepline.plugins.files_local.lake import load_lake
from stepline.plugins.files_local.results import check_results_folder, export, results_folder
from stepline_sdk.labels import Label
from tests.support.contexts import IDS, World


@pytest.fixture
def world(tmp_path):
    """Files, schemas and secrets."""
    return World(tmp_path)


@pytest.fixture
def out(tmp_path):
    """An empty folder."""
    made = tmp_path / "out"
    made.mkdir()
    return made


def results(world):
    """Every file that is no input, its newest version only."""
    return [one for one in world.catalog.newest() if one.blob.startswith("sha256:")]


def paths(folder):
    return sorted(
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, _, names in os.walk(folder)
        for name in names
    )


def write(world, *names, content="x", **arguments):
    attempt = world.attempt()
    pointers = [attempt.context.write_file(content, n, "PROCESSED", **arguments) for n in names]
    attempt.files.commit()
    return pointers


def test_export_lays_files_out_by_category_and_raw_path(world, out):
    attempt = world.attempt()
    attempt.context.write_ids({"run": 1}, "x.json", IDS)
    attempt.context.write_file("y", "sub/y.txt", "PROCESSED")
    attempt.context.write_detached_file("z", "z.txt", "TMP")
    attempt.files.commit()
    export(results(world), str(out), store=world.store)
    assert paths(out) == [
        "IDS/run42.json/common-plate-reader-x.json",
        "PROCESSED/run42.json/sub/y.txt",
        "TMP/z.txt",
        "files.json",
    ]
    assert (out / "TMP/z.txt").read_text() == "z"


def test_export_describes_each_file(world, out):
    (pointer,) = write(world, "o", custom_metadata={"n": 5}, labels=[Label("a", "1")])
    export(results(world), str(out), store=world.store)
    (entry,) = json.loads((out / "files.json").read_text())
    assert entry["path"] == "PROCESSED/run42.json/o"
    assert entry["file"] == pointer
    assert (entry["metadata"], entry["tags"]) == ({"batch": "7", "n": "5"}, ["raw"])
    assert [(label["name"], label["value"]) for label in entry["labels"]] == [("a", "1")]
    assert len(entry["sha256"]) == 64


def test_export_gives_the_newest_version_only(world, out):
    write(world, "o", content="old")
    write(world, "o", content="new")
    export(results(world), str(out), store=world.store)
    assert (out / "PROCESSED/run42.json/o").read_text() == "new"
    assert len(json.loads((out / "files.json").read_text())) == 1


def test_export_equal_files_are_files_of_their_own(world, out):
    write(world, "a", "b")
    export(results(world), str(out), store=world.store)
    folder = out / "PROCESSED/run42.json"
    (folder / "a").write_text("edited")
    assert (folder / "b").read_text() == "x"


def test_export_of_changed_metadata_copies_the_input(world, out):
    attempt = world.attempt()
    attempt.context.update_metadata_tags(attempt.context.input_file, {"n": "5"})
    attempt.files.commit()
    export(world.catalog.newest(), str(out), store=world.store)
    (out / "RAW/run42.json").write_text("edited")
    assert world.input_path.read_bytes() == world.input_bytes
    (entry,) = json.loads((out / "files.json").read_text())
    assert len(entry["sha256"]) == 64


def test_export_file_and_folder_of_one_name_both_appear(world, out):
    write(world, "a", "a/b", "a/b/c")
    export(results(world), str(out), store=world.store)
    expected = ["a/b/c", "a/b~2", "a~2"]
    assert paths(out) == [f"PROCESSED/run42.json/{name}" for name in expected] + ["files.json"]


def test_export_files_of_two_sources_with_one_name_both_appear(world, out):
    attempt = world.attempt()
    for source in ("one", "two"):
        attempt.context.write_detached_file(source, "o", "TMP", source_id=source)
    attempt.files.commit()
    export(results(world), str(out), store=world.store)
    assert sorted((out / name).read_text() for name in ("TMP/o", "TMP/o~2")) == ["one", "two"]


def test_export_key_that_leads_out_is_refused(world, out):
    pointer = replace(world.input.pointer, key="a/b/RAW/../../../x")
    with pytest.raises(PlatformError, match="cannot be a path"):
        export([replace(world.input, pointer=pointer)], str(out), store=world.store)


def test_export_feeds_the_next_run_with_the_same_ids(world, out):
    pointers = write(world, "a", "a/b", labels=[Label("l", "1")])
    export(results(world), str(out), store=world.store)
    before = {one.pointer.file_id: one for one in results(world)}
    lake = load_lake(str(out), store=world.store)
    assert {one.pointer.file_id for one in lake.records} == {p["fileId"] for p in pointers}
    for record in lake.records:
        old = before[record.pointer.file_id]
        plain, expected = record.to_plain(), old.to_plain()
        assert {**plain, "sha256": ""} == {**expected, "sha256": ""}


def test_export_notes_come_back_without_bytes(world, out):
    attempt = world.attempt()
    attempt.context.add_labels(attempt.context.input_file, [Label("l", "1")])
    attempt.files.commit()
    changed = world.catalog.get(world.input.pointer.file_id)
    export([], str(out), store=world.store, notes=[changed])
    assert paths(out) == ["files.json"]
    lake = load_lake(str(out), store=world.store)
    found = lake.input_file(str(world.input_path), store=world.store)
    assert [label.name for label in found.labels] == ["project", "l"]


def fill(folder, *names):
    for name in names:
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(name)


def index(folder, *names):
    with open(os.path.join(folder, "files.json"), "w") as file:
        json.dump([{"path": name} for name in names], file)


@pytest.mark.parametrize("exists", [True, False])
def test_results_folder_appears_when_all_is_written(tmp_path, exists):
    out = tmp_path / "deep" / "out"
    if exists:
        out.mkdir(parents=True)
    with results_folder(str(out)) as partial:
        fill(partial, "RAW/a")
        index(partial, "RAW/a")
        assert not exists or paths(out) == []
    assert paths(out) == ["RAW/a", "files.json"]
    assert os.listdir(tmp_path / "deep") == ["out"]


def test_results_folder_replaces_earlier_results_as_a_whole(out):
    fill(out, "RAW/old", "workflow.json")
    index(out, "RAW/old")
    with results_folder(str(out), others=["workflow.json"]) as partial:
        index(partial)
    assert paths(out) == ["files.json"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_results_folder_stays_as_it_was_where_something_is_raised(out, error):
    fill(out, "RAW/old")
    index(out, "RAW/old")

    def write():
        with results_folder(str(out)) as partial:
            fill(partial, "RAW/new")
            raise error

    with pytest.raises(error):
        write()
    assert paths(out) == ["RAW/old", "files.json"]
    assert os.listdir(out.parent) == ["out"]


def test_results_folder_through_a_link_replaces_what_it_leads_to(tmp_path, out):
    (tmp_path / "link").symlink_to(out)
    with results_folder(str(tmp_path / "link")) as partial:
        index(partial)
    assert (tmp_path / "link").is_symlink()
    assert paths(out) == ["files.json"]


def test_results_folder_that_got_a_stranger_meanwhile_is_kept(out):
    def write():
        with results_folder(str(out)) as partial:
            index(partial)
            fill(out, "mine.txt")

    with pytest.raises(SettingsError, match=r"mine\.txt"):
        write()
    assert paths(out) == ["mine.txt"]


@pytest.mark.parametrize("known", [[], ["RAW/a"]], ids=["no results", "results"])
def test_check_results_folder_with_a_stranger_is_refused(out, known):
    fill(out, "mine.txt", *known)
    if known:
        index(out, *known)
    with pytest.raises(SettingsError, match=r"no result of a run: mine\.txt"):
        check_results_folder(str(out))


def test_check_results_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="is not a folder"):
        check_results_folder(str(tmp_path / "file"))


@pytest.mark.parametrize("text", ["{", "5", '[{"a": 1}]'])
def test_check_results_folder_with_a_broken_description_is_refused(out, text):
    (out / "files.json").write_text(text)
    with pytest.raises(UploadError, match=r"files\.json"):
        check_results_folder(str(out))


@pytest.mark.parametrize(
    ("lake", "good"), [("out", False), ("out/RAW", False), (".", True), ("other", True)]
)
def test_check_results_folder_that_the_run_reads_is_refused(tmp_path, out, lake, good):
    lakes = [str(tmp_path / lake)]
    if good:
        check_results_folder(str(out), lakes=lakes)
    else:
        with pytest.raises(SettingsError, match="would replace"):
            check_results_folder(str(out), lakes=lakes)

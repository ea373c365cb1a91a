"""What `stepline init` writes, and where it refuses to."""

import json
import os
from pathlib import Path

import pytest
import yaml

from stepline.app.new_project import ProjectNames, project_files, project_names, write_project
from stepline.errors import SettingsError

EXAMPLES = Path(__file__).parents[3] / "examples"
HELLO = ProjectNames(slug="hello", name="Hello", namespace="private-demo", runtime="python3.11")


def names(folder, *, name=None, namespace="private-demo"):
    return project_names(Path(folder), name=name, namespace=namespace, runtime="python3.12")


def files_below(folder):
    """Text by path of all files that version control would hold."""
    left_out = {"__pycache__", ".pytest_cache", ".stepline", "results"}
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    kept = (path for path in paths if left_out.isdisjoint(path.parts))
    return {path.as_posix(): (folder / path).read_text() for path in kept}


@pytest.mark.parametrize(
    ("folder", "name", "slug", "shown"),
    [
        pytest.param("a/my-project", None, "my-project", "My project", id="plain"),
        pytest.param("My Project_2", None, "my-project-2", "My project 2", id="spaces"),
        pytest.param("plates", "Plate reader", "plates", "Plate reader", id="named"),
        pytest.param("../x", None, "x", "X", id="up"),
    ],
)
def test_project_names_follow_from_the_folder(folder, name, slug, shown):
    found = names(folder, name=name)
    assert (found.slug, found.name, found.runtime) == (slug, shown, "python3.12")


def test_project_names_of_the_current_folder_follow_from_its_name(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert names(".").slug == "here"


@pytest.mark.parametrize(
    ("folder", "given", "what", "hint"),
    [
        ("日本", {}, "no slug can be made", "letters a to z or digits"),
        ("x", {"name": "a\nb"}, "cannot be printed", ""),
        ("x", {"namespace": "mine"}, "'mine' is not a namespace", "private-<organisation>"),
        ("x", {"namespace": "private-a--b"}, "not a namespace", "single hyphens"),
    ],
    ids=["slug", "name", "namespace", "double hyphen"],
)
def test_project_names_that_cannot_be_are_refused(folder, given, what, hint):
    with pytest.raises(SettingsError, match=what) as caught:
        names(folder, **given)
    assert hint in caught.value.hint


def test_project_files_are_the_hello_example():
    assert project_files(HELLO) == files_below(EXAMPLES / "hello")


def test_project_files_hold_the_names_in_every_format():
    odd = ProjectNames(
        slug="a-1", name='Say "hi": @slug@', namespace="client-x", runtime="python3.9"
    )
    texts = project_files(odd)
    protocol = yaml.safe_load(texts["protocols/a-1/protocol.yml"])
    manifest = json.loads(texts["task-scripts/a-1/manifest.json"])
    assert protocol["name"] == manifest["name"] == odd.name
    assert protocol["steps"][0]["task"]["namespace"] == manifest["namespace"] == "client-x"
    assert json.loads(texts["task-scripts/a-1/config.json"])["runtime"] == "python3.9"
    assert "tests/test_a_1.py" in texts


@pytest.mark.parametrize("example", ["hello", "branch-on-failure", "push-to-kaggle"])
def test_example_has_the_schemas_of_this_version(example):
    schemas = {p: t for p, t in project_files(HELLO).items() if p.startswith("schemas/")}
    found = files_below(EXAMPLES / example)
    assert {path: found[path] for path in schemas} == schemas


def test_write_project_makes_the_folder_and_all_files(tmp_path):
    texts = project_files(HELLO)
    assert write_project(tmp_path / "a/b", texts, force=False) == []
    assert files_below(tmp_path / "a/b") == texts


def test_write_project_folder_with_files_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SettingsError, match="not empty") as caught:
        write_project(tmp_path, project_files(HELLO), force=False)
    assert str(caught.value.where) == str(tmp_path)
    assert "--force" in caught.value.hint
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_write_project_forced_keeps_the_files_that_are_there(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "stepline.toml").symlink_to("nowhere")
    kept = write_project(tmp_path, project_files(HELLO), force=True)
    assert sorted(kept) == ["README.md", "stepline.toml"]
    assert (tmp_path / "README.md").read_text() == "mine"
    assert (tmp_path / "tests/test_hello.py").is_file()


def test_write_project_where_a_file_is_is_refused(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(SettingsError, match="a file of that name is there"):
        write_project(tmp_path / "taken", project_files(HELLO), force=True)

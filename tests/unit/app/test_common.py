"""What travels with Stepline, which of it is meant, and copies of it."""

import json
import shutil
from pathlib import Path

import pytest

from stepline.app import common
from stepline.app.common import choose, digest_of, shipped, shipped_path, shipped_scripts
from stepline.app.common_copies import copy_artifacts
from stepline.app.load import load_protocol
from stepline.errors import ArtifactNotFound, PlatformError, SettingsError
from stepline.model.artifact import ArtifactKind

FIXTURE = Path(__file__).parents[2] / "fixtures" / "common"
SCRIPT, PROTOCOL = ArtifactKind.TASK_SCRIPT, ArtifactKind.PROTOCOL


@pytest.fixture
def home(tmp_path):
    """A folder of artifacts to change."""
    shutil.copytree(FIXTURE, tmp_path / "home")
    return tmp_path / "home"


def found(home):
    return shipped(home.parent / "cache", home=home)


def add_script(home, slug, **manifest):
    folder = shutil.copytree(home / "task-scripts/push-note", home / "task-scripts" / slug)
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "slug": slug, **manifest}))
    return folder


def kinds(artifacts):
    return [(each.name.kind, each.name.slug) for each in artifacts]


def test_shipped_gives_task_scripts_before_protocols_with_what_these_use(home):
    add_script(home, "a-script")
    artifacts = found(home)
    assert kinds(artifacts) == [
        (SCRIPT, "a-script"),
        (SCRIPT, "push-note"),
        (PROTOCOL, "push-note"),
    ]
    assert str(artifacts[-1].name) == "common/push-note:v1.0.0"
    assert artifacts[-1].uses == ("push-note",)
    assert artifacts[1].description == "Passes a note on."


def test_shipped_without_folders_is_empty(tmp_path):
    assert shipped(tmp_path, home=tmp_path) == []
    assert shipped_scripts(tmp_path) is None


def test_shipped_manifest_of_a_protocol_says_what_it_is_called(home):
    manifest = {"type": "protocol", "namespace": "common", "slug": "noted", "version": "v2.0.0"}
    (home / "protocols/push-note/manifest.json").write_text(json.dumps(manifest))
    assert str(found(home)[-1].name) == "common/noted:v2.0.0"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("task-scripts/push-note/manifest.json", "{}"),
        ("protocols/push-note/protocol.yml", "protocolSchema: v3\n"),
        ("protocols/push-note/manifest.json", "{}"),
    ],
    ids=["task script's manifest", "protocol", "protocol's manifest"],
)
def test_shipped_damaged_artifact_is_named(home, path, text):
    (home / path).write_text(text)
    with pytest.raises(PlatformError, match="no artifact of the namespace common") as caught:
        found(home)
    assert caught.value.where.path == str(home / path)
    assert "install Stepline again" in caught.value.hint


def test_shipped_artifact_of_another_namespace_is_refused(home):
    add_script(home, "mine", namespace="private-me")
    with pytest.raises(PlatformError):
        found(home)


@pytest.mark.parametrize("name", ["push-note", "common/push-note"])
def test_choose_by_slug_gives_both_kinds_and_no_other(home, name):
    add_script(home, "other")
    assert kinds(choose(found(home), [name])) == [(SCRIPT, "push-note"), (PROTOCOL, "push-note")]


def test_choose_a_protocol_brings_the_task_scripts_that_it_uses(home):
    add_script(home, "other")
    protocol = home / "protocols/push-note/protocol.yml"
    protocol.write_text(
        protocol.read_text().replace("slug: push-note\nversion", "slug: p\nversion")
    )
    assert kinds(choose(found(home), ["p"])) == [(SCRIPT, "push-note"), (PROTOCOL, "p")]


def test_choose_without_names_gives_all(home):
    assert choose(found(home), []) == found(home)


def test_choose_unknown_name_tells_the_nearest(home):
    with pytest.raises(ArtifactNotFound, match="common/push-nota travels") as caught:
        choose(found(home), ["push-nota"])
    assert caught.value.hint == "did you mean 'push-note'?"


def test_digest_leaves_compiled_files_out(home):
    script = found(home)[0]
    before = digest_of(script)
    (script.folder / "__pycache__").mkdir()
    (script.folder / "__pycache__/main.cpython-311.pyc").write_bytes(b"\0")
    assert digest_of(script) == before
    (script.folder / "main.py").write_text("")
    assert digest_of(script) != before


@pytest.fixture
def installed(home, monkeypatch):
    """The folder that is taken for the shipped one."""
    monkeypatch.setattr(common, "shipped_folder", lambda: home)
    return home


def test_shipped_path_of_a_name_is_its_folder(installed):
    named = Path("common/push-note")
    assert shipped_path(named, "task-scripts") == installed / "task-scripts/push-note"
    assert shipped_path(named, "protocols") == installed / "protocols/push-note"


@pytest.mark.parametrize(
    "words", ["common/other", "mine/push-note", "common/push-note/protocol.yml"]
)
def test_shipped_path_of_other_words_is_those_words(installed, words):
    assert shipped_path(Path(words), "protocols") == Path(words)


def test_shipped_path_of_a_folder_that_is_here_is_that_folder(installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("common/push-note").mkdir(parents=True)
    assert shipped_path(Path("common/push-note"), "protocols") == Path("common/push-note")


def copied(home, namespace="common"):
    """Copy everything into a new project, and return that."""
    target, cache = home.parent / "project", home.parent / "cache"
    copy_artifacts(found(home), target, namespace=namespace, cache_dir=cache)
    return target


def test_copy_keeps_the_content_and_leaves_compiled_files_out(home):
    (home / "task-scripts/push-note/__pycache__").mkdir()
    (home / "task-scripts/push-note/__pycache__/main.cpython-311.pyc").write_bytes(b"\0")
    project = copied(home)
    files = sorted(str(p.relative_to(project)) for p in project.rglob("*") if p.is_file())
    kept = (p for p in FIXTURE.rglob("*") if p.is_file() and p.suffix != ".pyc")
    assert files == sorted(str(path.relative_to(FIXTURE)) for path in kept)
    for name in files:
        assert (project / name).read_bytes() == (FIXTURE / name).read_bytes()


def test_copy_into_a_namespace_changes_every_name_and_nothing_else(home):
    protocol = home / "protocols/push-note/protocol.yml"
    step = "  - id: other\n    task: {namespace: common, slug: no, version: v1.0.0, function: f}\n"
    protocol.write_text(protocol.read_text() + step)
    project = copied(home, "private-me")
    manifest = json.loads((project / "task-scripts/push-note/manifest.json").read_text())
    assert (manifest["namespace"], manifest["slug"]) == ("private-me", "push-note")
    path = project / "protocols/push-note/protocol.yml"
    made = load_protocol(path, home.parent / "cache").value
    assert made.namespace == "private-me"
    assert [each.task.namespace for each in made.steps] == ["private-me", "common"]
    assert path.read_text().replace("private-me", "common") == protocol.read_text()


def test_copy_over_something_is_refused_before_anything_is_copied(home):
    taken = home.parent / "project/protocols/push-note"
    taken.mkdir(parents=True)
    with pytest.raises(SettingsError, match="something of that name") as caught:
        copied(home)
    assert caught.value.where.path == str(taken)
    assert not (home.parent / "project/task-scripts").exists()


def test_copy_into_no_namespace_is_refused(home):
    with pytest.raises(SettingsError, match="'mine' is not a namespace"):
        copied(home, "mine")

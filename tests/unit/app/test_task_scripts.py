"""Which folders are task scripts, and which of them each step of a protocol means."""

import json

import pytest

from stepline.app.load import load_manifest, load_task_script
from stepline.app.task_scripts import find_scripts, match_steps
from stepline.errors import ArtifactNotFound, ConfigError
from stepline.parsing import parse_protocol

CONFIG = {
    "language": "python",
    "runtime": "python3.11",
    "functions": [{"slug": "push-data", "function": "main.push"}],
}


@pytest.fixture
def home(tmp_path):
    """An empty folder for task scripts."""
    folder = tmp_path / "task-scripts"
    folder.mkdir()
    return folder


def write_script(home, name, *, manifest="", config=None):
    """Write a task script; a manifest is given as ``namespace/slug:version``."""
    folder = home / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG if config is None else config))
    if manifest:
        identity, _, version = manifest.partition(":")
        namespace, _, slug = identity.partition("/")
        names = {"namespace": namespace, "slug": slug, "version": version}
        (folder / "manifest.json").write_text(json.dumps({"type": "task-script", **names}))
    return folder


def find(folder):
    cache = folder.parent / "cache"
    return find_scripts(
        folder,
        load_script=lambda home: load_task_script(home, cache),
        load_manifest=lambda path: load_manifest(path, cache),
    )


def protocol(*tasks):
    """A protocol with one step per ``namespace/slug:version/function``."""
    lines = ["protocolSchema: v3", "steps:"]
    for number, text in enumerate(tasks):
        identity, _, rest = text.partition(":")
        namespace, _, slug = identity.partition("/")
        version, _, function = rest.partition("/")
        task = f"namespace: {namespace}, slug: {slug}, version: '{version}', function: {function}"
        lines.append(f"- id: s{number}\n  task: {{{task}}}")
    return parse_protocol("\n".join(lines) + "\n", path="p.yml")


def matched(home, task):
    """Return the folder's name that a task means, and the codes of all warnings."""
    matches, problems = match_steps(protocol(task), find(home)[0])
    [script] = matches.values()
    return script.path.rpartition("/")[2], [problem.code for problem in problems]


def test_find_scripts_gives_folders_with_a_config_sorted(home):
    write_script(home, "b")
    write_script(home, "a", manifest="private-me/push:v1.0.0")
    (home / "no-script").mkdir()
    (home / "README.md").write_text("words")
    scripts, problems = find(home)
    assert [script.folder for script in scripts] == ["a", "b"]
    assert [script.slug for script in scripts] == ["push", "b"]
    assert [problem.code for problem in problems if problem.severity == "error"] == []


def test_find_scripts_folder_that_is_a_task_script_is_itself_the_only_one(home):
    folder = write_script(home, "a")
    write_script(home, "a/nested")
    scripts, _ = find(folder)
    assert [script.path for script in scripts] == [str(folder)]


def test_find_scripts_broken_one_is_kept_with_its_problems(home):
    write_script(home, "good")
    write_script(home, "bad", config={"language": "cobol"})
    scripts, problems = find(home)
    assert [(script.folder, script.script is None) for script in scripts] == [
        ("bad", True),
        ("good", False),
    ]
    errors = [problem for problem in problems if problem.severity == "error"]
    assert errors
    assert all("bad/config.json" in problem.where.path for problem in errors)


@pytest.mark.parametrize(
    ("name", "what"),
    [(".", "no task script was found"), ("none", "there is no such folder of task scripts")],
    ids=["empty", "missing"],
)
def test_find_scripts_nothing_found_is_refused_with_its_place(home, name, what):
    with pytest.raises(ConfigError) as caught:
        find(home / name)
    assert what in caught.value.what
    assert caught.value.where.path == str(home / name)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("task", "folder", "warnings"),
    [
        ("private-me/push:v1.0.0/push-data", "one", []),
        ("private-me/push:v2.0.0/push-data", "two", []),
        ("private-me/push:v1.x/push-data", "one", []),
        ("private-me/push:^2.0.0/push-data", "two", []),
        ("private-me/push:>=1.0.0/push-data", "two", []),
        ("private-you/push:v1.0.0/push-data", "two", ["other-version"]),
        ("private-me/push:v3.0.0/push-data", "two", ["other-version"]),
        ("private-me/bare:v9.9.9/push-data", "bare", ["no-manifest"]),
        ("private-me/one:v1.0.0/push-data", "one", ["other-version"]),
    ],
)
def test_match_steps_manifest_counts_before_the_folders_name(home, task, folder, warnings):
    write_script(home, "one", manifest="private-me/push:v1.0.0")
    write_script(home, "two", manifest="private-me/push:v2.0.0")
    write_script(home, "bare")
    assert matched(home, task) == (folder, warnings)


def test_match_steps_without_a_match_names_all_at_once_with_their_places(home):
    write_script(home, "push", manifest="private-me/push:v1.0.0")
    parsed = protocol(
        "private-me/psh:v1.0.0/push-data",
        "private-me/push:v1.0.0/push-dta",
        "private-me/push:^2.0.0/push-data",
    )
    with pytest.raises(ArtifactNotFound) as caught:
        match_steps(parsed, find(home)[0])
    found = {problem.code: problem for problem in caught.value.problems}
    assert [(code, problem.where.line) for code, problem in found.items()] == [
        ("no-task-script", 4),
        ("unknown-function", 6),
        ("other-version", 8),
    ]
    assert "did you mean 'push'?" in found["no-task-script"].hint
    assert "did you mean 'push-data'?" in found["unknown-function"].hint
    assert "v1.0.0, not ^2.0.0" in found["other-version"].message
    assert caught.value.where == found["no-task-script"].where


def test_match_steps_two_steps_of_one_script_match_once(home):
    write_script(home, "push", manifest="private-me/push:v1.0.0")
    task = "private-me/push:v1.0.0/push-data"
    matches, problems = match_steps(protocol(task, task), find(home)[0])
    assert [script.folder for script in matches.values()] == ["push"]
    assert problems == []

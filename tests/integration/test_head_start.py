"""A command that was given before starts its worker early, and only ever gains time by it."""

from __future__ import annotations

import json

import pytest

from tests.support.projects import Project

WORDS = ("run", "protocols/p", "--input", "in.json", "--out", "results")


@pytest.fixture
def project(tmp_path, stepline_cache):
    """A project whose function tells its worker's process id."""
    project = Project(tmp_path, tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "environments").symlink_to(stepline_cache)
    project.task_script("s", "import os\ndef f(i, c): return os.environ['X']\n", ["f"])
    project.protocol("p", [{"id": "a", "function": "s/f"}])
    project.write("in.json", "{}")
    return project


def hint_of(project):
    (path,) = (project.cache / "head-start").glob("*.json")
    return path


def test_head_start_second_run_gives_the_same_and_leaves_the_hint_alone(project):
    first = project.stepline(*WORDS, "--env", "X=1")
    before = hint_of(project).stat().st_mtime_ns
    second = project.stepline(*WORDS, "--env", "X=1")
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert project.record()["output"] == "1"
    assert hint_of(project).stat().st_mtime_ns == before


def test_head_start_with_what_is_no_longer_needed_is_not_used(project):
    assert project.stepline(*WORDS, "--env", "X=1").returncode == 0
    hint = json.loads(hint_of(project).read_text())
    hint["what"]["task_env"] = {"X": "of-the-hint"}
    hint_of(project).write_text(json.dumps(hint))
    result = project.stepline(*WORDS, "--env", "X=1")
    assert result.returncode == 0, result.stderr
    assert project.record()["output"] == "1"
    assert json.loads(hint_of(project).read_text())["what"]["task_env"] == {"X": "1"}


@pytest.mark.parametrize(
    "change",
    [
        lambda hint: "not json",
        lambda hint: json.dumps({**hint, "module": "no_such_plugin"}),
        lambda hint: json.dumps({**hint, "what": {"python": "/no/such/python"}}),
        lambda hint: json.dumps({**hint, "what": {**hint["what"], "python": "/no/such/python"}}),
    ],
    ids=["damaged", "plugin gone", "arguments missing", "interpreter gone"],
)
def test_head_start_useless_hint_does_no_harm(project, change):
    assert project.stepline(*WORDS, "--env", "X=1").returncode == 0
    hint_of(project).write_text(change(json.loads(hint_of(project).read_text())))
    result = project.stepline(*WORDS, "--env", "X=1")
    assert result.returncode == 0, result.stderr
    assert project.record()["output"] == "1"


def test_head_start_command_that_fails_early_ends_its_worker(project, tmp_path):
    assert project.stepline(*WORDS, "--env", "X=1").returncode == 0
    (project.folder / "in.json").unlink()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    result = project.stepline(*WORDS, "--env", "X=1", TMPDIR=str(temporary))
    assert result.returncode == 2
    assert list(temporary.iterdir()) == []


def test_head_start_keeps_a_bounded_number_of_hints(project):
    folder = project.cache / "head-start"
    folder.mkdir()
    for number in range(250):
        (folder / f"{number:08x}.json").write_text("{}")
    assert project.stepline(*WORDS, "--env", "X=1").returncode == 0
    assert len(list(folder.iterdir())) < 200
    assert any("protocols/p" in path.read_text() for path in folder.iterdir())


def test_head_start_does_not_run_code_that_was_found_changed(project):
    assert project.stepline(*WORDS, "--env", "X=1").returncode == 0
    (kept,) = [each for each in (project.cache / "code").iterdir() if each.is_dir()]
    kept.chmod(0o755)
    (kept / "main.py").chmod(0o644)
    (kept / "main.py").write_text("def f(i, c): return 'changed'\n")
    assert project.stepline(*WORDS, "--env", "X=1").returncode == 0
    assert project.record()["output"] == "1"


def test_interpreter_that_is_gone_is_made_anew(project):
    assert project.stepline(*WORDS, "--env", "X=1").returncode == 0
    folder = project.cache / "environments"
    environment = project.record()["steps"][0]["attempts"][0]["environment"]
    home = folder / environment.removeprefix("sha256:")
    (home / "venv").rename(home / "venv-gone")
    result = project.stepline(*WORDS, "--env", "X=1")
    assert result.returncode == 0, result.stderr
    assert "making the environment of private-demo/s:v1.0.0\n" in result.stderr

"""Which tests are run for a task script, and what they see."""

from pathlib import Path

import pytest

from stepline.app.images.suites import find_suite
from stepline.errors import SettingsError

CODE = "/opt/stepline/script"
PROJECT = "/opt/stepline/project"


@pytest.fixture
def project(tmp_path):
    """A project with two task scripts and what tests need not see."""
    for path in (
        "tests/test_a.py",
        "protocols/a/protocol.yml",
        "task-scripts/a/config.json",
        "task-scripts/b/config.json",
        "results/workflow.json",
        "auth.json",
        ".env",
        "conftest.py",
        "pyproject.toml",
    ):
        file = tmp_path / "project" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path / "project"


def targets(suite):
    return {mount.target: mount.source for mount in suite.mounts("/copy")}


def test_suite_without_own_tests_is_the_projects(project):
    suite = find_suite(project / "task-scripts/a")
    assert suite.folder == project
    assert suite.arguments == ["tests"]
    assert suite.inside(CODE) == PROJECT


@pytest.mark.parametrize("name", ["test_a.py", "tests/deep/a_test.py"])
def test_suite_of_own_tests_starts_in_the_script(project, name):
    script = project / "task-scripts/a"
    (script / name).parent.mkdir(parents=True, exist_ok=True)
    (script / name).touch()
    suite = find_suite(script)
    assert suite.folder == script
    assert suite.arguments == []
    assert suite.inside(CODE) == f"{PROJECT}/task-scripts/a"


def test_suite_of_a_project_sees_no_secrets_and_the_copy_of_the_script(project):
    found = targets(find_suite(project / "task-scripts/a"))
    names = ["tests", "protocols", "conftest.py", "pyproject.toml", "task-scripts/b"]
    assert found == {
        **{f"{PROJECT}/{name}": str(project / name) for name in names},
        f"{PROJECT}/task-scripts/a": "/copy",
    }
    assert all(mount.read_only for mount in find_suite(project / "task-scripts/a").mounts("/copy"))


def test_suite_outside_of_projects_is_the_scripts_own(tmp_path):
    suite = find_suite(tmp_path)
    assert (suite.folder, suite.arguments, suite.inside(CODE)) == (tmp_path, [], CODE)
    assert suite.mounts("/copy") == []


def test_suite_of_a_private_folder_is_refused_with_its_place(project):
    (project / "tests").chmod(0o700)
    with pytest.raises(SettingsError, match="other users may not read this") as error:
        find_suite(project / "task-scripts/a").mounts("/copy")
    assert str(error.value).startswith(f"{project}/tests: ")
    assert f"chmod -R o+rX {project}/tests" in error.value.hint


def test_suite_names_the_project_as_the_script_is_named(project, monkeypatch):
    monkeypatch.chdir(project.parent)
    suite = find_suite(Path("project/task-scripts/a"))
    assert suite.folder == Path("project")
    assert suite.places == "project/task-scripts/a and project/tests"

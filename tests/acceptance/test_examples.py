"""Each example, and a project as `stepline init` makes it, through the command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stepline.testing.http_standin import HttpStandIn

EXAMPLES = Path(__file__).parents[2] / "examples"
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".pytest_cache", ".stepline", "results")
LOGS = {
    "F07_2025-03-04": ["parse", "check", "report"],
    "F07_2025-03-05": ["parse", "check", "repair", "report"],
    "F12_2025-03-05": ["parse", "check", "repair", "quarantine"],
}

WITH_CLIENT = pytest.param("push-to-kaggle", marks=pytest.mark.kaggle)

VALID = ["hello", "branch-on-failure", "push-to-kaggle", "harmonize-and-push"]
TESTED = ["hello", "branch-on-failure", WITH_CLIENT, "harmonize-and-push"]

hello = pytest.mark.parametrize("copy", ["hello"], indirect=True)
harmonize_and_push = pytest.mark.parametrize("copy", ["harmonize-and-push"], indirect=True)
branch_on_failure = pytest.mark.parametrize("copy", ["branch-on-failure"], indirect=True)


@pytest.fixture
def copy(project, request):
    """A project with a copy of the example that the test names."""
    shutil.copytree(EXAMPLES / request.param, project.folder, ignore=LEFT_OUT, dirs_exist_ok=True)
    return project


def run_tests(project):
    """Run a project's own tests as its author does."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project.folder,
        env=project.environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def ran(project):
    """The steps that the newest workflow has run."""
    return [step["id"] for step in project.record()["steps"] if step["status"] != "skipped"]


@pytest.mark.parametrize("copy", VALID, indirect=True)
def test_example_is_valid(copy):
    result = copy.stepline("validate", ".", "--strict")
    assert result.returncode == 0, result.stdout
    assert "no problems" in result.stdout


@pytest.mark.parametrize("copy", TESTED, indirect=True)
def test_example_tests_pass(copy):
    done = run_tests(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@hello
def test_hello_runs_as_its_readme_says(copy):
    words = ("--input", "data/visitor.json", "--out", "results/")
    result = copy.stepline("run", "protocols/hello", *words)
    assert result.returncode == 0, result.stderr
    assert copy.record()["output"]["text"] == "Hello, Ada!"
    greeting = copy.folder / "results/PROCESSED/visitor.json/greeting.txt"
    assert greeting.read_text() == "Hello, Ada!\n"


@hello
def test_hello_function_is_called_as_its_readme_says(copy):
    files = ("--file", "input_file_pointer=data/visitor.json")
    words = (*files, "--input", '{"greeting": "Hi"}', "--json")
    result = copy.stepline("call", "task-scripts/hello", "greet", *words)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["output"]["text"] == "Hi, Ada!"


@branch_on_failure
@pytest.mark.parametrize("log", LOGS)
def test_branch_on_failure_takes_the_way_of_each_log(copy, log):
    words = ("--input", f"data/{log}.csv", "--out", "results")
    result = copy.stepline("run", "protocols/freezer-day", *words)
    quarantined = log.startswith("F12")
    assert result.returncode == (1 if quarantined else 0), result.stderr
    assert ran(copy) == LOGS[log]
    assert ("report.json" in copy.files()) is not quarantined
    if quarantined:
        assert copy.record()["error"]["quarantined"] is True
        [label] = copy.files()[f"{log}.csv"]["labels"]
        assert (label["name"], label["value"]) == ("quality", "quarantined")


@harmonize_and_push
@pytest.mark.http
def test_harmonize_and_push_runs_as_its_readme_says(copy):
    with HttpStandIn(signing_secret="not-a-real-secret") as endpoint:
        words = (
            "run",
            "protocols/qpcr-results",
            "--input",
            "data/QX-0311.txt",
            "--out",
            "results/",
        )
        given = ("--config", f"url={endpoint.url}/qpcr", "--secret", "signing_secret=env:KEY")
        results = [copy.stepline(*words, *given, KEY="not-a-real-secret") for _ in range(2)]
        assert [result.returncode for result in results] == [0, 0], results[0].stderr
        [version] = endpoint.versions["/qpcr"]
    assert {file.name for file in version.files} == {"wells.csv", "results.csv", "curves.json"}
    assert copy.record()["output"]["new"] is False
    assert copy.record()["output"]["end"] == "verified"


def test_init_project_is_valid_runs_and_passes_its_tests(project):
    made = project.stepline("init", "my-project", "--name", "Plates", "--namespace", "client-x")
    assert made.returncode == 0, made.stderr
    commands = [line.split() for line in made.stdout.splitlines() if line.startswith("  ")]
    assert commands[0] == ["cd", "my-project"]
    project.folder /= "my-project"
    for command in commands[1:-1]:
        assert command[0] == "stepline"
        result = project.stepline(*command[1:])
        assert result.returncode == 0, result.stdout + result.stderr
    assert project.record()["output"]["text"] == "Hello, Ada!"
    assert commands[-1] == ["pytest"]
    assert run_tests(project).returncode == 0


def test_init_folder_with_files_is_refused_and_stays_as_it_is(project):
    project.write("old/README.md", "mine")
    refused = project.stepline("init", "old")
    assert refused.returncode == 2
    assert "not empty" in refused.stderr
    forced = project.stepline("init", "old", "--force")
    assert forced.returncode == 0
    assert "kept README.md" in forced.stdout
    assert (project.folder / "old/README.md").read_text() == "mine"

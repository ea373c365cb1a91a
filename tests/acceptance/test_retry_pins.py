"""A retry goes on with exactly what the workflow has used and made (3-28)."""

from __future__ import annotations

import os

import pytest

MAIN = """
import os
def one(i, c):
    print("one printed")
    c.add_labels(c.input_file, [{"name": "seen", "value": "one"}])
    return c.write_file("made by one", "one.txt", "PROCESSED")
def two(i, c):
    labels = [label["value"] for label in c.get_labels(c.input_file)]
    text = c.read_file(i["file"])["body"].decode()
    if not os.path.exists(i["go"]):
        raise ValueError("not yet")
    return [labels, text]
"""


@pytest.fixture
def failed(project):
    """A project whose workflow failed at its second step; ``go`` lets it pass."""
    project.task_script("s", MAIN, ["one", "two"])
    step = {"file": "$( steps.one.output )", "go": str(project.folder / "go")}
    project.protocol(
        "p",
        [{"id": "one", "function": "s/one"}, {"id": "two", "function": "s/two", "input": step}],
    )
    project.write("in.json", "{}")
    run = project.stepline("run", "protocols/p", "--input", "in.json", "--out", "results")
    assert run.returncode == 1, run.stderr
    return project


def retry(project):
    return project.stepline("run", "protocols/p", "--out", "results", "--retry")


def labels_of(project):
    return [label["value"] for label in project.files()["in.json"]["labels"]]


def test_3_28_retries_keep_labels_files_and_log_of_earlier_runs(failed):
    assert retry(failed).returncode == 1
    failed.write("go", "")
    result = retry(failed)
    assert result.returncode == 0, result.stderr
    assert failed.record()["output"] == [["one"], "made by one"]
    assert labels_of(failed) == ["one"]
    assert "one printed" in (failed.folder / "results" / "workflow.log").read_text()
    assert (failed.folder / "results/PROCESSED/in.json/one.txt").read_text() == "made by one"


def test_3_28_retry_takes_an_input_whose_bytes_are_the_same(failed):
    os.utime(failed.folder / "in.json", (1, 1))
    failed.write("go", "")
    result = retry(failed)
    assert result.returncode == 0, result.stderr
    assert failed.record()["output"] == [["one"], "made by one"]


@pytest.mark.parametrize("change", ["changed", "removed"])
def test_3_28_retry_refuses_results_that_are_not_as_they_were(failed, change):
    path = failed.folder / "results/PROCESSED/in.json/one.txt"
    path.unlink() if change == "removed" else path.write_text("TAMPERED")
    failed.write("go", "")
    result = retry(failed)
    assert result.returncode == 2
    assert "'PROCESSED/in.json/one.txt'" in result.stderr
    assert "Traceback" not in result.stderr


def test_3_28_retry_refuses_a_damaged_record(failed):
    failed.write("results/workflow.json", '{"format": 1, "status": "failed"}')
    result = retry(failed)
    assert result.returncode == 2
    assert "workflow.json" in result.stderr
    assert "Traceback" not in result.stderr


def test_3_28_retry_refuses_an_environment_other_than_that_of_the_failed_attempt(failed):
    path = failed.folder / "results" / "workflow.json"
    before = failed.record()["steps"][1]["attempts"][-1]["environment"]
    path.write_text(path.read_text().replace(before, "sha256:gone"))
    failed.write("go", "")
    result = retry(failed)
    assert result.returncode == 2
    assert "ran in the environment sha256:gone" in result.stderr
    assert before in result.stderr

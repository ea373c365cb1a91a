"""`stepline run --retry` goes on with exactly what the workflow was started with."""

from __future__ import annotations

import json

import pytest

MAIN = """
def look(i, c):
    return "ok"
def fail(i, c):
    found = c.search_eql({"query": {"match_all": {}}})["hits"]["hits"]
    schema = c.get_ids("common", "plate", "v1.0.0") if i["ids"] else None
    raise ValueError("%d files, %s" % (len(found), bool(schema)))
"""
WORDS = ("run", "protocols/p", "--input", "in.json", "--out", "results")
GIVEN = ("--config", "n=4", "--env", "TZ=UTC", "--secret", "key=env:MY_KEY")


@pytest.fixture
def failed(project):
    """A project whose workflow failed in its second step."""
    project.task_script("s", MAIN, ["look", "fail"], memoryInMB=333)
    project.protocol(
        "p",
        [{"id": "a", "function": "s/look"}, {"id": "b", "function": "s/fail", "input": {"ids": 0}}],
        config={"n": {"label": "N", "type": "number"}, "key": {"label": "K", "type": "secret"}},
    )
    project.write("in.json", "{}")
    result = run(project, *WORDS, *GIVEN)
    assert result.returncode == 1, result.stderr
    return project


def run(project, *words):
    return project.stepline(*words, MY_KEY="hunter2-hunter2")


def test_retry_by_the_same_words_goes_on_with_the_step_that_failed(failed):
    result = run(failed, *WORDS, *GIVEN, "--retry")
    assert result.returncode == 1, result.stderr
    one, two = failed.record()["steps"]
    assert [len(one["attempts"]), len(two["attempts"])] == [1, 2]


def test_retry_keeps_values_variables_and_limits_without_being_told(failed):
    before = failed.record()
    assert run(failed, "run", "protocols/p", "--out", "results", "--retry").returncode == 1
    after = failed.record()
    for kept in ("id", "config", "secrets", "executor", "protocol", "input", "startedAt"):
        assert after[kept] == before[kept]
    assert [step["memoryInMB"] for step in after["steps"]] == [333, 333]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--config", "n=5"), "--config n=5"),
        (("--env", "TZ=CET"), "--env TZ=CET"),
        (("--env", "OTHER=1"), "--env OTHER=1"),
        (("--input", "other.json"), "--input other.json"),
        (("--lake", "lake"), "--lake lake"),
        (("--ids", "lake"), "--ids lake"),
        (("--isolation", "reuse"), "--isolation reuse"),
        (("--executor", "sandbox"), "--executor sandbox"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_retry_with_other_words_is_refused(failed, words, named):
    failed.write("other.json", "{}")
    failed.write("lake/x.txt", "x")
    before = failed.record()
    result = run(failed, "run", "protocols/p", "--out", "results", "--retry", *words)
    assert result.returncode == 2
    assert f"{named} is not what the workflow was started with" in result.stderr
    assert failed.record() == before


def test_retry_of_another_protocol_is_refused(failed):
    failed.protocol("q", [{"id": "a", "function": "s/look"}])
    result = run(failed, "run", "protocols/q", "--out", "results", "--retry")
    assert result.returncode == 2
    assert "protocols/q is not what the workflow was started with" in result.stderr


def test_retry_secret_may_come_from_elsewhere(failed):
    failed.write("key.txt", "another-value")
    words = ("--secret", "key=file:key.txt")
    assert run(failed, "run", "protocols/p", "--out", "results", "--retry", *words).returncode == 1
    assert failed.record()["secrets"] == {"key": "file:key.txt"}


def test_retry_reads_the_lake_and_schemas_of_the_first_run(failed):
    failed.write("lake/x.txt", "x")
    failed.write("lake/y.txt", "y")
    failed.write("ids/common/plate/v1.0.0/schema.json", json.dumps({"type": "object"}))
    text = (failed.folder / "protocols/p/protocol.yml").read_text()
    failed.write("protocols/p/protocol.yml", text.replace('"ids": 0', '"ids": 1'))
    first = run(failed, *WORDS, *GIVEN, "--lake", "lake", "--ids", "ids")
    assert failed.record()["error"] == "3 files, True", first.stderr
    again = run(failed, "run", "protocols/p", "--out", "results", "--retry")
    assert failed.record()["error"] == "3 files, True", again.stderr
    assert (failed.record()["lake"], failed.record()["ids"]) == ("lake", "ids")


def test_retry_of_a_completed_workflow_is_refused(failed):
    failed.protocol("p", [{"id": "a", "function": "s/look"}])
    assert run(failed, *WORDS).returncode == 0
    result = run(failed, *WORDS, "--retry")
    assert result.returncode == 2
    assert "there is nothing to retry" in result.stderr


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--out", "none"), "there is no record of a workflow to retry"),
        ((), "--retry needs the results of the run that failed"),
    ],
    ids=["no record", "no folder"],
)
def test_retry_of_nothing_is_refused(failed, words, what):
    result = run(failed, "run", "protocols/p", "--retry", *words)
    assert result.returncode == 2
    assert what in result.stderr

"""`stepline call`: one function, with what the words give it and nothing to read but its end."""

from __future__ import annotations

import json

import pytest

MAIN = """
def show(i, c):
    return {"input": i, "first": c.input_file["fileKey"] if c.input_file else None,
            "config": {k: v for k, v in c.pipeline_config.items() if k != "pipelineName"}}
def length(i, c):
    return len(c.resolve_secret(i["key"]))
"""


@pytest.fixture
def script(project):
    """A task script whose folder alone says what it is."""
    folder = project.task_script("demo", MAIN, ["show", "length"])
    (folder / "manifest.json").unlink()
    return folder


def call(project, function, *words, **variables):
    out = ("--out", "results")
    return project.stepline("call", "task-scripts/demo", function, *out, *words, **variables)


def test_call_puts_pointers_and_json_into_the_input(project, script):
    project.write("a.txt", "a")
    project.write("b.txt", "b")
    files = ("--file", "one=a.txt", "--file", "two=b.txt", "--config", "n=5")
    result = call(project, "show", *files, "--input", '{"x": [1], "two": 2}')
    assert result.returncode == 0, result.stderr
    output = project.record()["output"]
    assert output["input"]["x"] == [1]
    assert output["input"]["one"]["fileKey"].endswith("/RAW/a.txt")
    assert output["input"]["two"]["fileKey"].endswith("/RAW/b.txt")
    assert output["first"] == output["input"]["one"]["fileKey"]
    assert output["config"] == {"n": "5"}


def test_call_without_a_file_or_input_calls_with_an_empty_object(project, script):
    assert call(project, "show").returncode == 0
    assert project.record()["output"] == {"input": {}, "first": None, "config": {}}


def test_call_secret_is_named_in_the_input_as_in_a_protocol(project, script):
    words = ("--secret", "key=env:MY_KEY", "--input", '{"key": "$( config.key )"}')
    result = call(project, "length", *words, MY_KEY="eleven-char")
    assert result.returncode == 0, result.stderr
    assert project.record()["output"] == 11


def test_call_json_prints_the_record_alone_on_standard_output(project, script):
    result = call(project, "show", "--json")
    assert json.loads(result.stdout) == project.record()
    assert "[1/1] show" in result.stderr


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("shwo",), "did you mean 'show'?"),
        (("show", "--file", "a.txt"), "--file a.txt has no '='"),
        (("show", "--file", "a=none.txt"), "none.txt"),
        (("show", "--file", "a=x", "--file", "a=y"), "--file a is given twice"),
        (("show", "--input", "{"), "--input is not valid JSON"),
        (("show", "--input", "[]"), "--input must be a JSON object"),
    ],
    ids=["function", "no name", "no file", "twice", "not JSON", "not an object"],
)
def test_call_wrong_words_exit_with_2_and_say_what(project, script, words, what):
    result = call(project, *words)
    assert result.returncode == 2
    assert what in result.stderr
    assert not (project.folder / "results").exists()


def test_call_limit_that_the_executor_cannot_hold_is_refused_at_once(project, script):
    result = call(project, "show", "--network", "none")
    assert result.returncode == 2
    assert "the executor 'process' cannot hold the limit: network 'none'" in result.stderr
    assert not (project.folder / "results").exists()


def test_call_in_a_fresh_place_and_with_the_hosts_network_is_recorded(project, script):
    result = call(project, "show", "--network", "host", "--fresh")
    assert result.returncode == 0
    assert project.record()["executor"]["limits"] == {"network": "host", "fresh": True}

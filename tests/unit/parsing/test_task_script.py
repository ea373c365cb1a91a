"""config.json."""

import json

import pytest

from stepline.model.task_script import Function, IdsReference, TaskScript
from stepline.parsing import parse_config

FUNCTION = {"slug": "push", "function": "main.push"}
BASE = {"language": "python", "runtime": "python3.11", "functions": [FUNCTION]}
IDS = {"namespace": "common", "slug": "x", "version": "v1.0.0"}


def parse(**changes):
    content = {key: value for key, value in {**BASE, **changes}.items() if value is not ...}
    return parse_config(json.dumps(content, indent=1), path="config.json")


def codes(**changes):
    return [problem.code for problem in parse(**changes).problems]


def with_ids(allowed):
    return parse(functions=[{**FUNCTION, "allowedIds": allowed}])


def test_parse_config_full_gives_the_model():
    parsed = parse(sdkVersion="v2", secureMode=True, runnerType="ecs", maxCount=3, memoryInMB=512)
    kept = {"sdkVersion": "v2", "secureMode": True, "runnerType": "ecs", "maxCount": 3}
    expected = TaskScript((Function("push", "main.push"),), "3.11", 512, kept)
    assert parsed.unwrap() == expected
    assert parsed.problems == ()
    assert TaskScript.from_plain(json.loads(json.dumps(expected.to_plain()))) == expected


@pytest.mark.parametrize("minor", range(7, 14))
def test_parse_config_runtime_that_runs_is_taken(minor):
    assert parse(runtime=f"python3.{minor}").unwrap().runtime == f"3.{minor}"


@pytest.mark.parametrize("runtime", ["python3.6", "python3.14", "python2.7", "3.11", "node18", ""])
def test_parse_config_other_runtime_is_refused_by_name(runtime):
    (problem,) = parse(runtime=runtime).problems
    assert problem.code == "unknown-runtime"
    assert repr(runtime) in problem.message
    assert "python3.7" in problem.hint
    assert "python3.13" in problem.hint
    assert (problem.where.line, problem.where.column) == (3, 13)


def test_parse_config_without_runtime_warns_of_the_reference():
    parsed = parse(runtime=...)
    (problem,) = parsed.problems
    assert (problem.code, problem.severity) == ("no-runtime", "warning")
    assert "Python 3.7" in problem.message
    assert parsed.unwrap().runtime is None


def test_parse_config_unknown_key_is_kept_with_a_warning():
    parsed = parse(memoryInMb=5)
    (problem,) = parsed.problems
    assert (problem.code, problem.severity) == ("unknown-key", "warning")
    assert problem.hint == "did you mean 'memoryInMB'?"
    assert parsed.unwrap().extra == {"memoryInMb": 5}


FAULTS = {
    "other language": ({"language": "r"}, ["unknown-value"]),
    "no language": ({"language": ...}, ["missing-key"]),
    "no functions": ({"functions": ...}, ["missing-key"]),
    "empty functions": ({"functions": []}, ["no-functions"]),
    "functions as mapping": ({"functions": {}}, ["wrong-type"]),
    "too much memory": ({"memoryInMB": 8193}, ["out-of-range"]),
    "negative memory": ({"memoryInMB": -1}, ["out-of-range"]),
    "half a MiB": ({"memoryInMB": 0.5}, ["out-of-range"]),
    "memory as text": ({"memoryInMB": "512"}, ["wrong-type"]),
    "memory as boolean": ({"memoryInMB": True}, ["wrong-type"]),
    "too many containers": ({"maxCount": 51}, ["out-of-range"]),
    "other runner": ({"runnerType": "lambda"}, ["unknown-value"]),
    "secure mode as text": ({"secureMode": "true"}, ["wrong-type"]),
    "function without slug": ({"functions": [{"function": "main.f"}]}, ["missing-key"]),
    "function with another key": ({"functions": [{**FUNCTION, "name": "x"}]}, ["unknown-key"]),
    "empty slug": ({"functions": [{**FUNCTION, "slug": ""}]}, ["empty-slug"]),
    "same slug twice": ({"functions": [FUNCTION, FUNCTION]}, ["duplicate-slug"]),
}


@pytest.mark.parametrize(("changes", "expected"), FAULTS.values(), ids=FAULTS)
def test_parse_config_fault_has_its_code(changes, expected):
    assert codes(**changes) == expected
    assert parse(**changes).value is None


@pytest.mark.parametrize(
    "name", ["push", "main.", ".push", "main.def", "main.a b", "main..f", "1.f"]
)
def test_parse_config_function_name_that_cannot_be_imported_is_refused(name):
    (problem,) = parse(functions=[{"slug": "s", "function": name}]).problems
    assert problem.code == "invalid-function"
    assert "main.push_data" in problem.hint


def test_parse_config_function_name_splits_at_the_last_dot():
    function = parse(functions=[{"slug": "s", "function": "pkg.mod.run"}]).unwrap().functions[0]
    assert (function.module, function.attribute) == ("pkg.mod", "run")


def test_parse_config_duplicate_slug_names_the_first_line():
    (problem,) = parse(functions=[FUNCTION, {"slug": "push", "function": "main.b"}]).problems
    assert "`push`" in problem.message
    assert problem.hint.endswith("line 6")
    assert problem.where.line == 10


REFERENCE = IdsReference("common", "x", "v1.0.0")


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [(None, ()), ([], ()), (IDS, (REFERENCE,)), ([IDS, IDS], (REFERENCE,))],
    ids=["null", "none", "one", "twice"],
)
def test_parse_config_allowed_ids_take_every_form(allowed, expected):
    assert with_ids(allowed).unwrap().functions[0].allowed_ids == expected


def test_parse_config_without_allowed_ids_says_nothing():
    assert parse().unwrap().functions[0].allowed_ids is None


@pytest.mark.parametrize(
    "allowed", ["x", 1, [1], {"namespace": "a"}, {**IDS, "more": 1}, [{**IDS, "slug": 1}]]
)
def test_parse_config_allowed_ids_in_other_form_are_refused(allowed):
    assert with_ids(allowed).value is None


def test_parse_config_positions_tell_where_functions_are():
    assert str(parse().locate("functions[0].function")) == "config.json:7:16"

"""config.json."""

import json

import pytest

from stepline.model.task_script import Function, IdsReference, ImageChoices, TaskScript
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
    "image as number": ({"image": 3}, ["wrong-type"]),
    "image without tag": ({"image": "registry.example/python"}, ["unpinned-reference"]),
    "image with a short digest": ({"image": "a/b@sha256:00ff"}, ["invalid-reference"]),
    "image in capitals": ({"image": "a/B:1"}, ["invalid-reference"]),
    "image with another key": ({"image": {"group": ["main"]}}, ["unknown-key"]),
    "image as a web address": ({"image": {"reference": "https://a/b:1"}}, ["invalid-reference"]),
    "command as text": ({"image": {"command": "python3 -m x"}}, ["wrong-type"]),
    "empty command": ({"image": {"command": []}}, ["empty-list"]),
    "no groups": ({"image": {"groups": []}}, ["empty-list"]),
    "group that cannot be": ({"image": {"groups": ["a b"]}}, ["invalid-group"]),
    "group twice": ({"image": {"groups": ["main", "main"]}}, ["duplicate-name"]),
    "system package in capitals": ({"image": {"system": ["LibGomp1"]}}, ["invalid-package"]),
    "system option": ({"image": {"system": ["--force-yes"]}}, ["invalid-package"]),
    "component outside": ({"image": {"components": ["../other"]}}, ["invalid-folder"]),
    "component of the machine": ({"image": {"components": ["/opt/x"]}}, ["invalid-folder"]),
    "component up and down": ({"image": {"components": ["a/../b"]}}, ["invalid-folder"]),
    "no size": ({"image": {"maxSizeMB": 0}}, ["out-of-range"]),
    "same slug twice": ({"functions": [FUNCTION, FUNCTION]}, ["duplicate-slug"]),
}


@pytest.mark.parametrize(("changes", "expected"), FAULTS.values(), ids=FAULTS)
def test_parse_config_fault_has_its_code(changes, expected):
    assert codes(**changes) == expected
    assert parse(**changes).value is None


def test_parse_config_image_gives_all_choices():
    image = {
        "reference": "registry.example:5000/team/python:3.11-slim@sha256:" + "0a" * 32,
        "command": ["python3", "-m", "x"],
        "groups": ["main", "notebook"],
        "system": ["libgomp1", "libpq5=15.3-0+deb12u1"],
        "components": ["components/parser/", "core"],
        "maxSizeMB": 500,
    }
    script = parse(image=image).unwrap()
    assert script.image == ImageChoices(
        reference=image["reference"],
        command=("python3", "-m", "x"),
        groups=("main", "notebook"),
        system=("libgomp1", "libpq5=15.3-0+deb12u1"),
        components=("components/parser", "core"),
        max_bytes=500_000_000,
    )
    assert TaskScript.from_plain(json.loads(json.dumps(script.to_plain()))) == script


@pytest.mark.parametrize(
    "reference",
    ["python:3.11", "a/b/c:v1.0_x", "[::1]:5000/a:1", "localhost/a__b-c@sha256:" + "f" * 64],
)
def test_parse_config_image_as_text_is_its_reference(reference):
    assert parse(image=reference).unwrap().image == ImageChoices(reference=reference)


IMAGE_HINTS = {
    "key": ({"refrence": "a:1"}, (11, 3), "did you mean 'reference'?"),
    "scheme": ({"reference": "docker://a/b:1"}, (11, 16), "leave out docker://"),
    "capitals": (
        {"reference": "a/B:1"},
        (11, 16),
        "names of repositories are written small: a/b:1",
    ),
    "twice": ({"groups": ["main", "main"]}, (13, 4), "it stands in line 12 already"),
}


@pytest.mark.parametrize(("image", "place", "hint"), IMAGE_HINTS.values(), ids=IMAGE_HINTS)
def test_parse_config_image_fault_has_its_place_and_hint(image, place, hint):
    (problem,) = parse(image=image).problems
    assert (problem.where.line, problem.where.column) == place
    assert problem.hint == hint


def test_parse_config_image_lists_have_places():
    parsed = parse(image={"groups": ["main", "notebook"]})
    assert str(parsed.locate("image.groups[1]")) == "config.json:13:4"


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

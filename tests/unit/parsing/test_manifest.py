"""manifest.json."""

import json

import pytest

from stepline.model.task_script import Manifest
from stepline.parsing import parse_manifest

BASE = {"type": "task-script", "namespace": "private-me", "slug": "push", "version": "v1.0.0"}


def parse(**changes):
    content = {key: value for key, value in {**BASE, **changes}.items() if value is not ...}
    return parse_manifest(json.dumps(content, indent=1), path="manifest.json")


def test_parse_manifest_full_gives_the_model():
    labels = [{"name": "a", "value": "b"}]
    parsed = parse(name="Push", description="It", labels=labels, catalog_keys=["any"], more=1)
    extra = {"labels": labels, "catalog_keys": ["any"], "more": 1}
    expected = Manifest("task-script", "private-me", "push", "v1.0.0", "Push", "It", extra)
    assert parsed.unwrap() == expected
    assert parsed.problems == ()
    assert Manifest.from_plain(json.loads(json.dumps(expected.to_plain()))) == expected


@pytest.mark.parametrize("key", sorted(BASE))
def test_parse_manifest_without_identity_is_refused(key):
    (problem,) = parse(**{key: ...}).problems
    assert (problem.code, problem.severity) == ("missing-key", "error")
    assert f"`{key}`" in problem.message


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"namespace": "me"}, "invalid-namespace"),
        ({"namespace": "private-a--b"}, "invalid-namespace"),
        ({"namespace": "private-a-"}, "invalid-namespace"),
        ({"namespace": "private-a_b"}, "invalid-namespace"),
        ({"slug": "a b"}, "invalid-identifier"),
        ({"version": "latest"}, "invalid-version"),
        ({"version": "1.0"}, "invalid-version"),
        ({"type": 1}, "wrong-type"),
        ({"labels": [{"name": "a"}]}, "missing-key"),
        ({"catalog_keys": "any"}, "wrong-type"),
        ({"include": [1]}, "wrong-type"),
    ],
)
def test_parse_manifest_fault_has_its_code(changes, code):
    parsed = parse(**changes)
    assert [problem.code for problem in parsed.problems] == [code]
    assert parsed.value is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": "1.0.0"}, "version-form"),
        ({"type": "widget"}, "unknown-kind"),
        ({"exclude": "*.csv"}, "no-effect"),
    ],
)
def test_parse_manifest_dubious_value_warns(changes, code):
    parsed = parse(**changes)
    assert [(p.code, p.severity) for p in parsed.problems] == [(code, "warning")]
    assert parsed.unwrap().version == "v1.0.0"


@pytest.mark.parametrize("namespace", ["common", "client-a", "private-a-b", "client-a_b"])
def test_parse_manifest_namespace_that_may_be_is_taken(namespace):
    assert parse(namespace=namespace).unwrap().namespace == namespace

"""Protocols against the task scripts beside them."""

from dataclasses import replace

import pytest

from stepline.model.task_script import Function, Manifest, TaskScript
from stepline.parsing import (
    LocalTaskScript,
    check_references,
    match_task_script,
    parse_protocol,
)

SCRIPT = TaskScript((Function("decorate", "main.decorate"), Function("push-data", "main.push")))


def local(version=None, *, slug="push", namespace="private-me", script=SCRIPT):
    manifest = version and Manifest("task-script", namespace, slug, version)
    return LocalTaskScript("push", script, manifest or None)


def protocol(slug="push", version="v1.0.0", function="push-data", *, broken=""):
    text = (
        "protocolSchema: v3\n"
        "steps:\n"
        "  - id: a\n"
        "    task:\n"
        "      namespace: private-me\n"
        f"      slug: {slug}\n"
        f"      version: {version}\n"
        f"      function: {function}\n"
        f"{broken}"
    )
    return parse_protocol(text, path="p.yml")


def test_check_references_that_fit_give_no_problem():
    assert check_references(protocol(), [local("v1.0.0"), local("v2.0.0")]) == []


def test_check_references_unknown_function_names_all_and_the_nearest():
    (problem,) = check_references(protocol(function="push_data"), [local("v1.0.0")])
    assert (problem.code, problem.severity) == ("unknown-function", "error")
    assert str(problem.where) == "p.yml:8:17"
    assert problem.source == "steps.a.task.function"
    assert "`push` does not expose a function `push_data`" in problem.message
    assert problem.hint == "did you mean 'push-data'? it exposes 'decorate', 'push-data'"


def test_check_references_of_a_broken_protocol_still_finds_unknown_functions():
    parsed = protocol(function="nope", broken="    if: 1\n")
    assert parsed.value is None
    assert [p.code for p in check_references(parsed, [local("v1.0.0")])] == ["unknown-function"]


def test_check_references_unknown_task_script_warns_with_the_nearest():
    (problem,) = check_references(protocol(slug="psh"), [local("v1.0.0")])
    assert (problem.code, problem.severity) == ("no-task-script", "warning")
    assert problem.hint == "did you mean 'push'? there are 'push'"
    assert str(problem.where) == "p.yml:6:13"


@pytest.mark.parametrize(
    ("wanted", "here", "words"),
    [
        ("v1.0.0", local("v1.1.0"), "its version is v1.1.0, not v1.0.0"),
        ("^2", local("v1.1.0"), "its version is v1.1.0, not ^2"),
        ("v1.0.0", local("v1.0.0", namespace="common"), "its namespace is common"),
    ],
    ids=["version", "range", "namespace"],
)
def test_check_references_other_identity_warns(wanted, here, words):
    (problem,) = check_references(protocol(version=wanted), [here])
    assert (problem.code, problem.severity) == ("other-version", "warning")
    assert words in problem.message


@pytest.mark.parametrize("version", ["v1.0.0", "^1", "1.0.0", "'*'"])
def test_check_references_version_that_matches_is_quiet(version):
    assert check_references(protocol(version=version), [local("v1.0.0")]) == []


def test_check_references_range_takes_the_highest_version_here():
    old = local("v1.0.0", script=TaskScript((Function("old", "main.f"),)))
    new = local("v1.10.0", script=SCRIPT)
    assert check_references(protocol(version="^1"), [old, new]) == []


def test_check_references_folder_without_manifest_is_known_by_name():
    assert check_references(protocol(version="v9.9.9"), [local()]) == []


def test_check_references_broken_task_script_is_not_judged():
    assert check_references(protocol(function="x"), [local("v1.0.0", script=None)]) == []


@pytest.mark.parametrize(
    ("version", "here", "code", "severity"),
    [
        ("v1.0.0", [], "no-task-script", "error"),
        ("^2.0.0", ["v1.0.0"], "other-version", "error"),
        ("v2.0.0", ["v1.0.0"], "other-version", "warning"),
        ("v2.0.0", [None], "no-manifest", "warning"),
    ],
    ids=["missing", "range without a match", "other version", "by folder name"],
)
def test_check_references_of_a_run_wants_all_to_be_here(version, here, code, severity):
    scripts = [local(each) if each else local() for each in here]
    (problem,) = check_references(protocol(version=version), scripts, all_here=True)
    assert (problem.code, problem.severity) == (code, severity)


@pytest.mark.parametrize(
    ("version", "chosen"), [("v1", "v1.2.0"), ("^1.0.0", "v1.2.0"), ("'*'", "v2.0.0")]
)
def test_match_task_script_range_takes_its_highest_whatever_the_order(version, chosen):
    scripts = [local("v1.0.0"), local("v2.0.0"), local("v1.2.0")]
    task = protocol(version=version).value.steps[0].task
    for order in (scripts, scripts[::-1]):
        assert match_task_script(task, order)[0].manifest.version == chosen


def test_check_references_two_folders_of_one_identity_are_named():
    one, two = (replace(local("v1.0.0"), path=f"task-scripts/{name}") for name in ("a", "b"))
    (problem,) = check_references(protocol(version="v1.0.0"), [one, two], all_here=True)
    assert (problem.code, problem.severity) == ("same-identity", "error")
    assert "task-scripts/a, task-scripts/b" in problem.message


def common_step(version="v1.0.0"):
    text = f"namespace: common\n      slug: push\n      version: {version}"
    source = protocol(version=version).path
    return parse_protocol(
        f"protocolSchema: v3\nsteps:\n  - id: a\n    task:\n      {text}\n"
        "      function: push-data\n",
        path=source,
    )


def shipped(version="v1.0.0"):
    return replace(local(version, namespace="common"), shipped=True)


def meant(parsed, *scripts):
    """Return which of some task scripts the step means, by number, and how that differs."""
    script, differs = match_task_script(parsed.value.steps[0].task, scripts)
    return (None if script is None else scripts.index(script)), differs


@pytest.mark.parametrize(
    ("own", "number"),
    [
        pytest.param(local("v1.0.0", namespace="common"), 0, id="own copy"),
        pytest.param(local(), 0, id="own folder"),
        pytest.param(local("v1.0.0"), 1, id="own of another namespace"),
        pytest.param(local("v2.0.0", namespace="common"), 1, id="own of another version"),
    ],
)
def test_match_shipped_comes_after_the_projects_own(own, number):
    assert meant(common_step(), own, shipped())[0] == number


def test_match_range_takes_the_projects_own_before_a_higher_shipped_one():
    own = local("v1.1.0", namespace="common")
    assert meant(common_step("^1"), own, shipped("v1.2.0")) == (0, "")


def test_match_shipped_of_another_version_says_so():
    assert meant(common_step("v9.0.0"), shipped()) == (0, "here its version is v1.0.0, not v9.0.0")


def test_match_shipped_is_not_meant_by_a_step_of_another_namespace():
    assert meant(protocol(), shipped()) == (None, "")
    (problem,) = check_references(protocol(), [shipped()])
    assert (problem.code, problem.hint) == ("no-task-script", "")


def test_check_references_own_copy_of_a_shipped_one_is_no_twin():
    copy = local("v1.0.0", namespace="common")
    assert check_references(common_step(), [copy, shipped()], all_here=True) == []

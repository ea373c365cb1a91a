"""Acceptance checks of the push-pipeline system (A.003): what is deployed to a service.

Each test is named after its check.
"""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.support.served import Served, wait_for

SLOW_IMPORT = """
import pathlib, time
gate = pathlib.Path({gate!r})
print("the import waits")
for _ in range(600):
    if gate.exists():
        break
    time.sleep(0.05)
def work(input, context):
    return 1
"""


@pytest.fixture
def served(project):
    """A service with nothing in it."""
    service = Served(project)
    yield service
    service.stop()


def put(served, folder, version="v1.0.0", *words, kind="task-script", slug="s"):
    """Deploy a folder as an author does, whatever comes of it."""
    return served.project.stepline("put", kind, "private-demo", slug, version, folder, *words)


def script(served, body="return 1", **extra):
    """Write the task script ``s``."""
    return served.project.task_script("s", f"def work(i, c): {body}\n", ["work"], **extra)


def versions(served):
    found = served.get("/artifacts/task-scripts/private-demo/s")
    return {each["version"]: each for each in found}


def test_3_02_a_deployed_version_is_refused_and_says_how(served):
    assert put(served, script(served)).returncode == 0
    before = versions(served)
    again = put(served, script(served, "return 2"))
    assert again.returncode == 2
    assert "private-demo/s:v1.0.0 is published already" in again.stderr
    assert "publish another version, or move this one with -f" in again.stderr
    assert versions(served) == before


def test_3_02_force_replaces_it_and_the_replacement_is_recorded(served):
    assert put(served, script(served)).returncode == 0
    before = versions(served)["v1.0.0"]
    assert put(served, script(served, "return 2"), "v1.0.0", "-f").returncode == 0
    after = versions(served)["v1.0.0"]
    assert (before["moved"], after["moved"]) == (0, 1)
    assert after["hash"] != before["hash"]
    assert after["createdAt"] == before["createdAt"] < after["lastUpdatedAt"]
    # What workflows are pinned to stays.
    assert served.http.get(f"/sources/{before['hash']}").status_code == 200


def test_3_03_a_version_not_higher_than_the_newest_is_refused_unless_forced(served):
    assert put(served, script(served), "v1.2.0").returncode == 0
    for lower in ("v1.1.9", "v1.2.0-rc.1"):
        refused = put(served, script(served, "return 2"), lower)
        assert refused.returncode == 2, lower
        assert f"{lower} is not higher than v1.2.0" in refused.stderr
        assert "-f" in refused.stderr
    assert list(versions(served)) == ["v1.2.0"]
    assert put(served, script(served, "return 2"), "v1.1.9", "-f").returncode == 0
    assert put(served, script(served, "return 3"), "v1.10.0").returncode == 0
    assert list(versions(served)) == ["v1.1.9", "v1.2.0", "v1.10.0"]


def test_3_04_no_requirements_txt_is_refused_and_an_empty_one_is_accepted(served):
    folder = script(served)
    (folder / "requirements.txt").unlink()
    refused = put(served, folder)
    assert refused.returncode == 1
    assert "requirements.txt" in refused.stdout
    assert "error" in refused.stdout
    assert versions(served) == {}
    (folder / "requirements.txt").write_text("")
    assert put(served, folder).returncode == 0
    assert list(versions(served)) == ["v1.0.0"]


def test_3_05_poetrys_progress_words_are_refused_with_line_and_cause(served):
    text = (
        "Creating virtualenv demo-Xa1-py3.11 in /root/.cache\nUpdating dependencies\nsix==1.17.0\n"
    )
    refused = put(served, script(served, requirements=text))
    assert refused.returncode == 1
    assert "requirements.txt:1:" in refused.stdout
    assert "is what Poetry prints, not a requirement" in refused.stdout
    assert "poetry lock" in refused.stdout
    assert versions(served) == {}


CONFIG = {
    "plate": {
        "label": "Plate number",
        "description": "On its side",
        "type": "number",
        "required": True,
    },
    "unit": {"label": "Unit", "type": "string", "required": False, "default": "nm"},
}


def test_3_11_a_pipeline_without_a_required_value_cannot_be_enabled(served):
    served.put_script("s", "def work(i, c): return i\n", ["work"])
    values = {"plate": "$( config.plate )", "unit": "$( config.unit )"}
    step = {"id": "work", "function": "s/work", "input": values}
    served.put_protocol("p", [step], config=CONFIG)
    refused = served.project.stepline("pipeline", "apply", served.pipeline_file("p"))
    assert refused.returncode == 2
    assert "Plate number" in refused.stderr
    assert "required" in refused.stderr
    assert served.get("/pipelines")["items"] == []
    served.pipeline("p", config={"plate": 7})
    served.upload("a.txt", "x")
    (workflow,) = served.ended(1)
    assert workflow["output"] == {"type": "success", "result": {"plate": 7, "unit": "nm"}}


def test_3_29_a_build_goes_on_when_the_deploying_shell_is_closed(served):
    gate = served.project.folder / "gate"
    folder = served.project.task_script("s", SLOW_IMPORT.format(gate=str(gate)), ["work"])
    shell = served.project.start("put", "task-script", "private-demo", "s", "v1.0.0", folder)
    try:
        wait_for(lambda: "was uploaded" in shell.stdout.readline())
    finally:
        os.killpg(shell.pid, signal.SIGHUP)  # what a terminal that closes sends
        shell.communicate(timeout=30)
    assert versions(served) == {}
    gate.touch()
    wait_for(lambda: "v1.0.0" in versions(served))
    build_id = versions(served)["v1.0.0"]["buildId"]
    shown = served.run("artifact", "log", build_id)
    assert "building private-demo/s:v1.0.0" in shown
    assert "private-demo/s:v1.0.0 is published: sha256:" in shown
    build = served.get(f"/artifact/builds/{build_id}")["build"]
    assert (build["buildComplete"], build["buildStatus"]) == (True, "SUCCEEDED")


def test_3_29_a_build_goes_on_after_a_restart_of_the_service(served):
    gate = served.project.folder / "gate"
    folder = served.project.task_script("s", SLOW_IMPORT.format(gate=str(gate)), ["work"])
    shell = served.project.start("put", "task-script", "private-demo", "s", "v1.0.0", folder)
    try:
        wait_for(lambda: "was uploaded" in shell.stdout.readline())
    finally:
        shell.kill()
        shell.communicate(timeout=30)
    served.kill()
    gate.touch()
    again = Served(served.project)
    try:
        wait_for(lambda: "v1.0.0" in versions(again))
    finally:
        assert again.stop() == 0


def test_3_10_a_function_that_cannot_be_imported_fails_the_deploy(served):
    folder = served.project.task_script(
        "s", "import no_such_module\ndef work(i, c): pass\n", ["work"]
    )
    refused = put(served, folder)
    assert refused.returncode == 1
    assert "no_such_module" in refused.stdout
    assert versions(served) == {}


def test_auth_json_is_its_owners_alone(served):
    path = served.home / "auth.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert set(json.loads(path.read_text())) == {"api_url", "auth_token", "org", "ignore_ssl"}

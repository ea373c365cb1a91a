"""The record of a workflow: all that was used, no secret, and enough to go on from."""

import json
from dataclasses import replace

import pytest

from stepline.app.attempts import AttemptRecord
from stepline.app.load import restore_protocol
from stepline.app.masking import MASK, Masker
from stepline.app.workflow_record import (
    FORMAT,
    Origin,
    protocol_digest,
    read_record,
    restore_workflow,
    workflow_record,
)
from stepline.app.workflow_runner import StepAttempt
from stepline.engine import advance, create_workflow
from stepline.engine.events import AttemptFinished, RetryRequested, StartTask, WorkflowStarted
from stepline.errors import ConfigError
from stepline.model.task import Isolation, OutcomeKind, TaskOutcome
from stepline.model.task_script import Function, TaskScript
from stepline.model.workflow import StepDefaults
from stepline.ports.executor import ExecutorOptions, ScriptVersion

SECRET = "hunter2-hunter2"
SCRIPT = TaskScript((Function("one", "main.one"), Function("two", "main.two")))
VERSION = ScriptVersion("private-me/s:v1.0.0", "sha256:abc", "/code/abc", SCRIPT, "3.11")
RETURNED = TaskOutcome(OutcomeKind.RETURNED, value={"n": 1}, duration_s=0.12345678)
RAISED = TaskOutcome(
    OutcomeKind.RAISED, message=f"no {SECRET}", traceback=f"File …\n{SECRET}", exit_code=1
)


def task(function):
    return {"namespace": "private-me", "slug": "s", "version": "v1.0.0", "function": function}


PROTOCOL = restore_protocol(
    {
        "protocolSchema": "v3",
        "config": {"n": {"label": "N", "type": "number"}, "key": {"label": "K", "type": "secret"}},
        "steps": [
            {"id": "one", "task": task("one"), "input": {"n": "$( config.n )"}},
            {"task": task("two"), "input": "$( steps.one.output )", "options": {"timeoutInSec": 9}},
        ],
    }
)


@pytest.fixture
def workflow():
    """A workflow whose second step failed, and what was attempted."""
    state = create_workflow(
        PROTOCOL,
        workflow_id="w-1",
        started_at="2030-01-02T03:04:05.000Z",
        input_file={"fileId": "f-1", "fileKey": "local/x/RAW/in.json"},
        config={"n": 4, "key": {"ssm": "/local/local/org-secrets/key", "secret": True}},
        pipeline_id="local",
        step_defaults=[StepDefaults(memory_mb=333), StepDefaults(memory_mb=444)],
    )
    state, _ = advance(state, WorkflowStarted())
    state, _ = advance(state, AttemptFinished(0, 1, RETURNED, at=1.0))
    state, _ = advance(state, AttemptFinished(1, 1, RAISED, at=2.0))
    return state


def attempt(step, outcome, number=1):
    reads = [{"kind": "file", "fileId": "f-1"}]
    record = AttemptRecord(
        outcome=outcome, reads=reads, written=["f-2"], environment="sha256:env", started_at=7.5
    )
    return StepAttempt(step, number, record)


def origin(**changed):
    return Origin(
        protocol_path="protocols/p/protocol.yml",
        input_path="in.json",
        input_sha256="e3b0",
        scripts=[VERSION, VERSION],
        folders={"sha256:abc": "task-scripts/s"},
        secret_sources={"key": "env:MY_KEY"},
        executor="process",
        options=ExecutorOptions({"TZ": "UTC"}, Isolation.REUSE, allow_before_install=True),
        **{"lake": "lake", "ids": "ids", **changed},
    )


def record_of(workflow, *, masker=None, **changed):
    """Return the record as it is after it was written and read."""
    record = workflow_record(
        workflow,
        origin(**changed),
        attempts=[attempt(0, RETURNED), attempt(1, RAISED)],
        finished_at="2030-01-02T03:04:06.000Z",
        masker=masker or Masker(),
    )
    return json.loads(json.dumps(record))


def test_workflow_record_says_what_ran_and_what_came_of_it(workflow):
    record = record_of(workflow)
    assert (record["format"], record["id"], record["status"]) == (FORMAT, "w-1", "failed")
    times = (record["startedAt"], record["finishedAt"])
    assert times == ("2030-01-02T03:04:05.000Z", "2030-01-02T03:04:06.000Z")
    assert (record["output"], record["error"]) == (None, f"no {SECRET}")
    assert record["config"]["n"] == 4
    assert record["secrets"] == {"key": "env:MY_KEY"}
    assert record["input"]["path"] == "in.json"
    assert record["input"]["sha256"] == "e3b0"
    assert (record["lake"], record["ids"]) == ("lake", "ids")
    assert record["protocol"]["document"] == PROTOCOL.document
    assert record["executor"] == {
        "name": "process",
        "isolation": "reuse",
        "taskEnv": {"TZ": "UTC"},
        "allowBeforeInstall": True,
        "limits": {"network": "host", "fresh": False},
    }


def test_workflow_record_of_a_step_has_its_script_limits_and_attempts(workflow):
    one, two = record_of(workflow)["steps"]
    assert (one["id"], one["name"], two["id"]) == ("one", "one", None)
    assert one["taskScript"] == {
        "name": "private-me/s:v1.0.0",
        "digest": "sha256:abc",
        "runtime": "3.11",
        "folder": "task-scripts/s",
    }
    assert (one["memoryInMB"], one["timeoutInSec"], two["timeoutInSec"]) == (333, 3600, 9)
    assert (one["input"], one["output"]) == ({"n": 4}, {"n": 1})
    [ran] = one["attempts"]
    assert (ran["attempt"], ran["kind"], ran["durationSeconds"]) == (1, "returned", 0.123457)
    assert (ran["environment"], ran["startedAt"], ran["written"]) == ("sha256:env", 7.5, ["f-2"])
    assert two["attempts"][0]["traceback"] == RAISED.traceback


def test_workflow_record_earlier_attempts_come_first(workflow):
    earlier = {1: [{"attempt": 1, "kind": "lost"}]}
    _, two = record_of(workflow, earlier_attempts=earlier)["steps"]
    assert [each["kind"] for each in two["attempts"]] == ["lost", "raised"]


def test_workflow_record_has_no_secret_anywhere(workflow):
    masker = Masker([SECRET])
    config = {**workflow.config, "note": f"x {SECRET}"}
    text = json.dumps(record_of(replace(workflow, config=config), masker=masker))
    assert SECRET not in text
    assert text.count(MASK) == 5


def test_restore_workflow_gives_back_the_state_that_a_retry_needs(workflow):
    restored = restore_workflow(record_of(workflow), PROTOCOL)
    steps = tuple(replace(state, outcomes=()) for state in workflow.steps)
    assert restored == replace(workflow, steps=steps, step_defaults=())


def test_restore_workflow_retry_has_the_same_input_and_limits(workflow):
    script = replace(SCRIPT, memory_mb=444)
    restored = restore_workflow(record_of(workflow), PROTOCOL, scripts=[SCRIPT, script])
    _, [command] = advance(restored, RetryRequested())
    _, [same] = advance(workflow, RetryRequested())
    expected = StartTask(step=1, attempt=2, input={"n": 1}, memory_mb=444, timeout_s=9)
    assert command == same == expected


def test_protocol_digest_does_not_depend_on_the_order_of_keys():
    reverse = dict(reversed(PROTOCOL.document.items()))
    assert protocol_digest(restore_protocol(reverse)) == protocol_digest(PROTOCOL)
    other = {**PROTOCOL.document, "description": "x"}
    assert protocol_digest(restore_protocol(other)) != protocol_digest(PROTOCOL)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "there is no record of a workflow to retry"),
        ("{", "the record cannot be read"),
        ("\udcff", "the record cannot be read"),
        ("[]", "not a record that this version"),
        ('{"format": 2}', "not a record that this version"),
        ("[" * 100_000, "the record cannot be read"),
    ],
    ids=["missing", "broken", "not UTF-8", "list", "other format", "deep"],
)
def test_read_record_unusable_is_refused_with_its_place(tmp_path, content, what):
    path = tmp_path / "workflow.json"
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError) as caught:
        read_record(path)
    assert what in caught.value.what
    assert caught.value.where.path == str(path)


def test_read_record_gives_what_was_written(workflow, tmp_path):
    path = tmp_path / "workflow.json"
    record = record_of(workflow)
    path.write_text(json.dumps(record))
    assert read_record(path) == record

"""Replays: what is fetched, from where secrets come, and what counts as the same outcome."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepline.app.archives import pack
from stepline.app.code_store import store_code
from stepline.app.file_views import file_info, input_file_value
from stepline.app.replay import Recorded, ReplayWords, plan_replay
from stepline.app.replay_files import fetch_files, file_record, wanted_files
from stepline.app.replay_outcomes import compare
from stepline.app.replay_secrets import Placeholders, recorded_secrets
from stepline.app.run_plan import Machine
from stepline.app.run_secrets import SecretSource
from stepline.errors import ConfigError, PlatformError
from stepline.model.file import FileCategory, FilePointer, FileRecord, Label
from stepline.model.workflow import StepStatus, WorkflowStatus
from stepline.plugins.files_local.catalog import MemoryCatalog
from stepline.plugins.files_local.run_lake import RunLake
from stepline.ports.executor import ExecutorOptions

PROTOCOL = """\
protocolSchema: v3
name: two
steps:
  - id: first
    task: {namespace: private-demo, slug: s, version: v1.0.0, function: work}
  - id: second
    if: false
    task: {namespace: private-demo, slug: s, version: v1.0.0, function: work}
    input: {text: "$( workflow.startedAt )"}
"""
CONFIG = """\
{"language": "python", "runtime": "python3.11", "memoryInMB": 300,
 "functions": [{"slug": "work", "function": "main.work"}]}
"""
RECORD = FileRecord(
    FilePointer("stepline", "demo/src/PROCESSED/a.txt/b.txt", file_id="f-1", version="v-1"),
    FileCategory.PROCESSED,
    size=3,
    sha256="ab" * 32,
    created_at="2026-01-01T00:00:00.000Z",
    source={"id": "src", "type": "reader", "name": "Reader"},
    metadata={"lab": "B"},
    tags=("x", "y"),
    labels=(Label("plate", "7", id=4), Label("plate", "8", id=9)),
    ids="common/plate:v1.0.0",
    source_file_id="f-0",
    trace_id="f-0",
    provenance={"pipelineId": "p-1", "pipelineName": "one", "pipelineHistory": ["p-0", "p-1"]},
)


def read_of(kind: str, **about: Any) -> dict[str, Any]:
    return {"kind": kind, **about}


def attempt(reads=(), written=(), **about) -> dict[str, Any]:
    kind = {"kind": "returned", "message": ""}
    return {**kind, "reads": list(reads), "written": list(written), **about}


def task(name: str, *attempts: Any, output: Any = None, **about: Any) -> dict[str, Any]:
    limits = {"taskMemoryInMB": 512, "timeoutInSec": 90, "attempt": len(attempts)}
    answer = {"type": "success", "result": output}
    return {"name": name, **limits, "attempts": list(attempts), "output": answer, **about}


def recorded(*tasks: Any, statuses=("success", "success"), steps=range(2), **about: Any):
    """Return a recorded workflow of these tasks, which read the input file ``in``."""
    pins = {
        "inputFile": {"fileId": "in", "bucket": "stepline"},
        "config": {},
        "protocol": {"name": "private-demo/two:v1.0.0", "digest": ""},
        "steps": [
            {"status": status, "input": None, "taskScript": "private-demo/s:v1.0.0"}
            for status in statuses
        ],
    }
    workflow = {
        "id": "w",
        "status": "completed",
        "pipelineId": "p",
        "pipelineName": "pipe",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "tasks": list(tasks),
        "files": [],
    }
    return Recorded(workflow={**workflow, **about}, pins=pins, steps=steps)


POINTER = {"fileId": "read", "fileKey": "k", "bucket": "b", "version": "v"}
READING = task(
    "first",
    attempt([read_of("search", fileIds=["found", "read"]), read_of("file", file=POINTER)]),
    attempt([read_of("labels", fileId="in"), read_of("info", fileId="info")], ["made"]),
)
LATER = task("second", attempt([read_of("file", file={**POINTER, "fileId": "made"})], ["last"]))


@pytest.mark.parametrize(
    ("steps", "files"),
    [
        ([0, 1], {"in": True, "found": False, "read": True, "info": False}),
        ([0], {"in": True, "found": False, "read": True, "info": False}),
        ([1], {"in": True, "made": True}),
    ],
    ids=["all", "first", "second"],
)
def test_wanted_files_are_those_read_that_the_replay_does_not_make_itself(steps, files):
    assert wanted_files(recorded(READING, LATER, steps=steps)) == files


def test_file_record_is_what_the_service_has():
    info = {**file_info(RECORD), "sha256": RECORD.sha256}
    found = file_record(info, input_file=input_file_value(RECORD))
    assert found == RECORD


def test_file_record_of_another_than_the_input_file_knows_its_own_pipeline():
    info = {**file_info(RECORD), "sha256": RECORD.sha256}
    other = input_file_value(replace(RECORD, pointer=replace(RECORD.pointer, file_id="f-2")))
    assert file_record(info, input_file=other).history == ("p-1",)


class Files:
    """A service that has one file.

    Args:
        record: The file.
    """

    def __init__(self, record: FileRecord) -> None:
        self._record = record

    def file_info(self, file_id):
        if file_id != self._record.pointer.file_id:
            return None
        return {**file_info(self._record), "sha256": self._record.sha256}

    def content(self, info, target):
        target.write_bytes(b"abc")


def fetched(reads, tmp_path):
    """Fetch what an attempt has read into a lake; return the lake and the warnings."""
    lake, warnings = RunLake(tmp_path / "files"), []
    before = recorded(task("first", attempt(reads)), steps=[0])
    fetch_files(
        before, Files(RECORD), lake=lake, folder=tmp_path / "recorded", warn=warnings.append
    )
    return lake, warnings


def test_fetched_file_is_known_by_its_pointer_and_can_be_read(tmp_path):
    read = read_of("file", file=RECORD.pointer.to_plain())
    lake, warnings = fetched([read], tmp_path)
    found = lake.catalog.version(RECORD.pointer.key, "v-1")
    assert replace(found, blob="") == replace(RECORD, provenance=found.provenance)
    assert Path(lake.store.local_path(found.blob)).read_bytes() == b"abc"
    gone = "the file in, which a recorded attempt read, is not there any more"
    assert warnings == [gone]


def test_file_that_was_only_found_can_be_found_and_not_read(tmp_path):
    lake, _ = fetched([read_of("search", fileIds=["f-1"])], tmp_path)
    found = lake.catalog.get("f-1")
    assert found.labels == RECORD.labels
    with pytest.raises(PlatformError, match=f"not here: {RECORD.pointer.key}"):
        lake.store.open(found.blob)
    assert list((tmp_path / "recorded").iterdir()) == []


def test_recorded_secrets_are_placeholders_unless_given():
    path = "/local/demo/org-secrets/"
    config = {"token": {"ssm": f"{path}site", "secret": True}, "who": "Ada"}
    reads = [read_of("secret", name=f"{path}{name}", version="1") for name in ("site", "other")]
    found = recorded_secrets(config, reads, given={"other": "env:MINE"})
    assert found.paths == {"token": f"{path}site", "other": f"{path}other"}
    assert found.sources == {
        "token": SecretSource("placeholder", "token"),
        "other": SecretSource("env", "MINE"),
    }
    assert Placeholders().read("token").value == "placeholder-token"


def test_recorded_secrets_that_there_are_not_are_refused_with_the_nearest():
    config = {"token": {"ssm": "/local/demo/org-secrets/site", "secret": True}}
    with pytest.raises(ConfigError) as raised:
        recorded_secrets(config, [], given={"tokem": "env:MINE"})
    assert raised.value.what == "the workflow has no secret 'tokem'"
    assert "did you mean 'token'?" in raised.value.hint
    assert "it has: token" in raised.value.hint


def pointer(file_id: str, key: str) -> dict[str, str]:
    return {"type": "s3file", "fileId": file_id, "fileKey": key, "version": file_id, "bucket": "b"}


def step_now(output: Any = None, *, status: str = "success", **about: Any) -> dict[str, Any]:
    return {"status": status, "output": output, "attempts": [attempt(**about)]}


@pytest.mark.parametrize(
    ("was", "now", "same"),
    [
        ({"a": [1, None]}, {"a": [1, None]}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        (1, True, False),
        ("x", "y", False),
        ([pointer("old", "k")], [pointer("new", "k")], True),
        ({"id": "old"}, {"id": "new"}, True),
        ([pointer("old", "k")], [pointer("other", "k")], False),
    ],
    ids=["equal", "order", "number", "text", "pointer", "id", "other bytes"],
)
def test_compare_takes_values_for_equal_as_json_and_files_by_their_bytes(was, now, same):
    file = {"fileId": "old", "file": {"path": "k"}, "sha256": "1"}
    before = recorded(task("first", attempt(), output=was), steps=[0], files=[file])
    catalog = MemoryCatalog(
        FileRecord(FilePointer("b", "k", each, each), FileCategory.TMP, sha256=sha256)
        for each, sha256 in (("new", "1"), ("other", "2"))
    )
    record = {"steps": [step_now(now, written=["new", "other"])]}
    (found,) = compare(before, record, catalog=catalog)
    assert found.same is same


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        ("failed", step_now(status="failed", kind="raised", message="no"), "failed"),
        (
            "failed",
            step_now(status="failed", kind="killed", message="by 9"),
            "recorded raised: no, here killed: by 9",
        ),
        ("failed", step_now(), "recorded failed: raised: no, here success"),
        ("skipped", step_now(status="skipped"), "skipped"),
        ("running", step_now(), "the recorded step had not ended: running"),
    ],
    ids=["same error", "other error", "other status", "skipped", "running"],
)
def test_compare_tells_how_a_step_differs(was, now, words):
    failed = attempt(kind="raised", message="no")
    before = recorded(task("first", failed, output=None), statuses=[was], steps=[0])
    (found,) = compare(before, {"steps": [now]}, catalog=MemoryCatalog())
    assert (found.words, found.same) == (words, words in ("failed", "skipped"))


class Service:
    """A service that has recorded one workflow of the protocol above.

    Args:
        folder: An empty folder.
        found: The recorded workflow; digests are put in here.
    """

    org, url = "demo", "http://127.0.0.1:1"

    def __init__(self, folder: Path, found: Recorded) -> None:
        self.recorded, self.sent = found, []
        self._folders: dict[str, Path] = {}
        script = self._publish(folder / "s", {"config.json": CONFIG, "main.py": ""})
        protocol = self._publish(folder / "p", {"protocol.yml": PROTOCOL})
        found.pins["protocol"]["digest"] = protocol
        for pin in found.pins["steps"]:
            pin["digest"] = script

    def workflow(self, workflow_id):
        return self.recorded.workflow

    def pins(self, workflow_id):
        return self.recorded.pins

    def source(self, digest, target):
        self.sent.append(digest)
        pack(self._folders[digest], target)

    def file_info(self, file_id):
        return None

    def content(self, info, target):
        raise AssertionError("there are no files")

    def damage(self):
        """Let it send other sources than it is asked for."""
        for folder in self._folders.values():
            (folder / "extra.txt").write_text("x")

    def _publish(self, folder: Path, files: dict[str, str]) -> str:
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        cache = folder.with_suffix(".cache")
        digest, kept = store_code(folder, cache)
        kept.chmod(0o755)
        shutil.rmtree(cache)
        self._folders[digest] = folder
        return digest


@pytest.fixture
def service(tmp_path):
    done = task("first", attempt(), attempt())
    left_out = task("second", taskMemoryInMB=None, timeoutInSec=None)
    return Service(tmp_path, recorded(done, left_out, statuses=["success", "skipped"]))


def plan(service, tmp_path, step=None, secrets=None):
    machine = Machine(
        cache_dir=tmp_path / "cache",
        default_runtime="3.11",
        lake=None,
        executor="process",
        options=ExecutorOptions(),
        warn=print,
    )
    words = ReplayWords(workflow_id="w", step=step, secrets=secrets or {}, task_scripts=None)
    return plan_replay(words, service, machine=machine, new_id=lambda: "new")


def test_plan_of_a_replay_pins_what_was_recorded(service, tmp_path):
    replay = plan(service, tmp_path)
    workflow = replay.state.workflow
    assert (workflow.id, workflow.started_at) == ("new", "2026-01-01T00:00:00.000Z")
    assert [each.name for each in workflow.protocol.steps] == replay.names == ["first", "second"]
    first, second = workflow.step_defaults
    assert (first.memory_override_mb, first.timeout_s) == (512, 90)
    assert (second.memory_override_mb, second.memory_mb) == (None, 300)
    (version,) = replay.request.versions.values()
    assert version.digest == service.recorded.pins["steps"][0]["digest"]
    place = replay.request.place
    assert (place.org, place.pipeline_name, replay.request.bucket) == ("demo", "pipe", "stepline")
    assert len(service.sent) == 2
    plan(service, tmp_path)
    assert len(service.sent) == 2, "what is kept was fetched again"


@pytest.mark.parametrize("word", ["first", "1"], ids=["id", "number"])
def test_plan_of_a_step_waits_for_its_attempt_with_the_recorded_input(service, tmp_path, word):
    service.recorded.pins["steps"][0]["input"] = {"text": "$( config.no )"}
    replay = plan(service, tmp_path, step=word)
    (state,) = replay.state.workflow.steps
    assert replay.state.workflow.status is WorkflowStatus.IN_PROGRESS
    assert (state.status, state.memory_mb, state.timeout_s) == (StepStatus.WAITING, 512, 90)
    assert state.input == {"text": "$( config.no )"}


def test_plan_of_a_step_that_never_ran_is_refused(service, tmp_path):
    with pytest.raises(ConfigError, match="'second' was never attempted") as raised:
        plan(service, tmp_path, step="second")
    assert "skipped" in raised.value.what
    assert "leave --step out" in raised.value.hint


def test_plan_refuses_sources_of_another_digest(service, tmp_path):
    service.damage()
    digest = service.recorded.pins["protocol"]["digest"]
    with pytest.raises(PlatformError, match=f"pinned to {digest}, and the service sent sha256:"):
        plan(service, tmp_path)


def test_plan_of_a_record_that_is_not_ours_says_so(service, tmp_path):
    del service.recorded.pins["steps"][0]["digest"]
    with pytest.raises(PlatformError, match=r"record of workflow w .*KeyError: 'digest'") as raised:
        plan(service, tmp_path)
    assert "same version" in raised.value.hint

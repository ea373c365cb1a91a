"""The service on its real adapters: from a file to a finished workflow, and all that may come."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stepline.bootstrap import Plugins
from stepline.errors import SteplineError
from stepline.model.ledger import Decision
from stepline.model.pipeline import Clause, Condition, Group, Operator, PipelineStatus, Schedule
from stepline.model.workflow import RetryBehavior, RetryPolicy, WorkflowStatus
from tests.support.services import ENDED, PROTOCOL, RunningService, wait_for

WRITE = """
def work(input, context):
    data = context.read_file(context.input_file)["file"]
    print("read it")
    text = context.read_file(context.input_file)["body"].decode()
    return context.write_file(text.upper(), "upper.txt", "PROCESSED")
"""
WRITE = WRITE.replace('    data = context.read_file(context.input_file)["file"]\n', "")
SLOW = """
import time
def work(input, context):
    print("begun")
    time.sleep(60)
"""
FAIL = """
def work(input, context):
    raise ValueError("no good")
"""
LABEL = """
def work(input, context):
    context.add_labels(context.input_file, [{"name": "seen", "value": "yes"}])
"""


def when(*clauses: tuple[str, str, str]) -> Condition:
    """Return a condition of which all clauses must hold."""
    return Condition(groups=(Group(Operator.AND, tuple(Clause(*each) for each in clauses)),))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def running(tmp_path, cache):
    service = RunningService(tmp_path / "home", cache=cache)
    yield service
    service.stop()
    assert service.reports == []


def test_file_that_arrives_runs_its_pipeline(running):
    pipeline = running.simple("upper", WRITE)
    record = running.upload("day/a.txt", b"hello", source_type="reader")
    (workflow,) = running.ended(1)
    assert workflow.status is WorkflowStatus.COMPLETED
    details = running.service.workflows.details(workflow.id)
    (written,) = details.written
    assert written.pointer.key == "demo/upload/PROCESSED/day/a.txt/upper.txt"
    assert running.content(written) == b"HELLO"
    (entry,) = running.service.pipelines.explain_file(record.pointer.file_id)
    assert (entry.decision, entry.workflow_id) == (Decision.FIRED, workflow.id)
    assert entry.reason == "category is raw"
    (_, decided) = running.service.pipelines.explain(pipeline.id)[::-1]
    assert (decided.decision, decided.file_id) == (
        Decision.NOT_MATCHED,
        written.pointer.file_id,
    )
    log = running.service.workflows.log(workflow.id, step=0, attempt=1)
    assert ([line.text for line in log.lines], log.complete) == (["read it"], True)


def test_provenance_leads_back_to_the_file_that_arrived(running):
    running.simple("upper", WRITE)
    running.simple(
        "again",
        WRITE.replace("upper.txt", "again.txt"),
        trigger=when(("fileName", "is", "upper.txt")),
    )
    record = running.upload()
    first, second = running.ended(2)
    (last,) = running.service.workflows.details(second.id).written
    chain = running.service.workflows.provenance(last.pointer.file_id)
    assert chain["workflow"]["workflowId"] == second.id
    (middle,) = chain["from"]
    assert middle["workflow"]["workflowId"] == first.id
    assert [each["fileId"] for each in middle["from"]] == [record.pointer.file_id]


def test_file_that_does_not_match_starts_nothing_and_says_why(running):
    running.simple("upper", WRITE, trigger=when(("sourceType", "is", "reader")))
    record = running.upload(source_type="scale")
    (entry,) = running.service.pipelines.explain_file(record.pointer.file_id)
    assert entry.decision is Decision.NOT_MATCHED
    assert entry.reason == "sourceType is reader: the file's is scale"
    assert running.workflows() == []


def test_same_file_id_again_is_the_same_file(running):
    running.simple("upper", WRITE)
    first = running.upload(file_id="f-1")
    assert running.upload(file_id="f-1") == first
    running.ended(1)
    with pytest.raises(SteplineError, match="belongs to another file"):
        running.upload(file_id="f-1", content=b"other")


def test_loop_is_stopped_and_named(running):
    anything = Condition(
        Operator.OR,
        (
            Group(
                Operator.OR,
                (Clause("category", "is", "raw"), Clause("category", "is", "processed")),
            ),
        ),
    )
    running.simple("upper", WRITE, trigger=anything)
    running.upload()
    (workflow,) = running.ended(1)
    (written,) = running.service.workflows.details(workflow.id).written
    (entry,) = running.service.pipelines.explain_file(written.pointer.file_id)
    assert entry.decision is Decision.LOOP


def test_labels_that_a_task_adds_start_what_waits_for_them(running):
    running.simple("label", LABEL)
    running.simple("upper", WRITE, trigger=when(("labels.seen", "is", "yes")))
    record = running.upload()
    first, second = running.ended(2)
    assert [each.status for each in (first, second)] == [WorkflowStatus.COMPLETED] * 2
    decisions = running.service.pipelines.explain_file(record.pointer.file_id)
    assert [each.decision for each in decisions if each.workflow_id] == [Decision.FIRED] * 2
    assert running.service.files.get(record.pointer.file_id).labels[0].name == "seen"


def test_label_edited_silently_starts_nothing(running):
    running.simple("upper", WRITE, trigger=when(("labels.seen", "is", "yes")))
    file_id = running.upload().pointer.file_id
    running.service.files.edit_labels(file_id, add=[("seen", "yes")], silent=True)
    assert running.workflows() == []
    running.service.files.edit_labels(file_id, add=[("also", "x")])
    running.ended(1)


def test_failed_step_fails_the_workflow_and_can_be_retried(running):
    retry = RetryPolicy(behavior=RetryBehavior.CONSTANT, base_delay_s=0.05, max_retries=2)
    running.simple("fail", FAIL, retry=retry)
    running.upload()
    (workflow,) = running.ended(1)
    assert (workflow.status, workflow.state["error"]) == (WorkflowStatus.FAILED, "no good")
    attempts = running.service.workflows.details(workflow.id).attempts
    assert [(each.attempt, each.kind) for each in attempts] == [(n, "raised") for n in (1, 2, 3)]
    running.service.workflows.retry(workflow.id)
    wait_for(lambda: len(running.service.workflows.details(workflow.id).attempts) == 6)


def test_cancelled_workflow_ends_its_task(running):
    running.simple("slow", SLOW)
    running.upload()
    wait_for(lambda: begun(running))
    (workflow,) = running.workflows()
    running.service.workflows.cancel(workflow.id, reason="enough")
    (ended,) = running.ended(1)
    assert (ended.status, ended.state["error"]) == (WorkflowStatus.CANCELLED, "enough")
    with pytest.raises(SteplineError, match="ended already: cancelled"):
        running.service.workflows.cancel(workflow.id)
    running.simple("upper", WRITE)
    running.upload("b.txt")  # the slot is free again
    wait_for(lambda: len(running.workflows(statuses=ENDED)) >= 2)


def begun(running: RunningService) -> bool:
    """Return whether the newest workflow's first attempt has printed something."""
    found = running.workflows()
    if not found:
        return False
    return bool(running.service.workflows.log(found[-1].id, step=0, attempt=1).lines)


def test_paused_pipeline_keeps_what_fires_until_it_is_resumed(running):
    pipeline = running.simple("upper", WRITE)
    running.service.pipelines.set_status(pipeline.id, PipelineStatus.PAUSED)
    records = [running.upload(f"{n}.txt") for n in range(3)]
    entries = [running.service.pipelines.explain_file(r.pointer.file_id)[0] for r in records]
    assert [entry.decision for entry in entries] == [Decision.PAUSED] * 3
    assert [each.waiting for each in running.workflows()] == [True] * 3
    running.service.pipelines.set_status(pipeline.id, PipelineStatus.ENABLED)
    assert len(running.ended(3)) == 3


def test_waiting_workflows_all_start_when_a_limit_goes(running):
    running.simple("slow", SLOW, max_parallel=1, priority=1)
    pipeline = running.service.pipelines.get("slow")
    for number in range(130):
        running.upload(f"{number}.txt")
    assert sum(each.waiting for each in running.workflows()) == 129
    running.service.pipelines.apply(replace(pipeline.spec, max_parallel=0))
    assert not any(each.waiting for each in running.workflows())


def test_workflows_that_a_resume_left_waiting_start_with_the_service(tmp_path, cache):
    first = RunningService(tmp_path / "home", cache=cache)
    pipeline = first.simple("upper", WRITE)
    first.service.pipelines.set_status(pipeline.id, PipelineStatus.PAUSED)
    first.upload()
    enabled = replace(first.service.pipelines.get("upper"), status=PipelineStatus.ENABLED)
    first.service.state.write(lambda tx: tx.pipelines.put(enabled))  # and then it was killed
    first.stop()
    second = RunningService(tmp_path / "home", cache=cache)
    try:
        assert [each.status for each in second.ended(1)] == [WorkflowStatus.COMPLETED]
    finally:
        second.stop()


def test_cancel_of_one_attempt_does_not_reach_the_next(running):
    running.simple("slow", SLOW.replace("60", "0.3"))
    running.upload()
    for _ in range(3):
        wait_for(lambda: bool(begun(running)))
        workflow_id = running.workflows()[0].id
        running.service.workflows.cancel(workflow_id)
        running.service.workflows.retry(workflow_id)
    wait_for(lambda: running.workflows()[0].status is WorkflowStatus.COMPLETED)
    kinds = [each.kind for each in running.service.workflows.details(workflow_id).attempts]
    assert kinds == ["returned"]


def test_cancelled_workflow_is_told_to_observers(tmp_path, cache, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(
        Plugins, "workflow_finished", lambda _, record: told.append(record["status"]) or []
    )
    service = RunningService(tmp_path / "home", cache=cache)
    try:
        service.simple("slow", SLOW)
        service.upload()
        wait_for(lambda: begun(service))
        service.service.workflows.cancel(service.workflows()[0].id)
        assert told == ["cancelled"]
    finally:
        service.stop()


def test_reprocess_asked_for_twice_at_once_makes_each_workflow_once(running):
    running.simple("fail", FAIL, retry=RetryPolicy())
    pipeline = running.service.pipelines.get("fail")
    files = [running.upload(f"{n}.txt").pointer.file_id for n in range(10)]
    running.ended(10)
    service, failed = running.service.workflows, frozenset({"failed"})
    running.service.pipelines.set_status(pipeline.id, PipelineStatus.PAUSED)
    pipeline = running.service.pipelines.get("fail")
    threads = [
        threading.Thread(target=service.reprocess, args=(pipeline,), kwargs={"kinds": failed})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(running.workflows()) == 2 * len(files)


def test_deleted_pipeline_ends_what_waited(running):
    pipeline = running.simple("upper", WRITE)
    running.service.pipelines.set_status(pipeline.id, PipelineStatus.PAUSED)
    running.upload()
    running.service.pipelines.delete("upper")
    (workflow,) = running.ended(1)
    assert workflow.state["error"] == "its pipeline was deleted"
    assert running.service.pipelines.all() == []


def test_limited_pipeline_runs_so_many_at_a_time(running):
    running.simple("upper", WRITE, max_parallel=1)
    for number in range(5):
        running.upload(f"{number}.txt")
    assert sum(not each.waiting and each.status not in ENDED for each in running.workflows()) <= 1
    ended = running.ended(5)
    assert [each.input_file_id for each in ended] == [
        each.input_file_id for each in running.workflows()
    ]


def test_missing_secret_refuses_the_workflow_by_name(running):
    running.put_script("upper", WRITE, ["work"])
    running.put_protocol(
        "upper",
        """\
protocolSchema: v3
name: upper
config:
  key: {label: Key, type: secret, required: true}
steps:
  - id: work
    task: {namespace: private-demo, slug: upper, version: v1.0.0, function: work}
    input: {key: $( config.key )}
""",
    )
    secrets = running.service.secrets
    secrets.put("api-key", "a-long-value")
    running.pipeline("upper", config={"key": {"secret": "api-key"}})
    secrets.delete("api-key", pipelines=[])
    running.upload()
    (workflow,) = running.ended(1)
    assert workflow.status is WorkflowStatus.FAILED
    assert "there is no secret 'api-key'" in str(workflow.state["error"])
    assert running.service.workflows.details(workflow.id).attempts == []
    secrets.put("api-key", "another-value")
    running.service.workflows.retry(workflow.id)
    wait_for(lambda: running.workflows()[0].status is WorkflowStatus.COMPLETED)


def test_pipeline_without_its_protocol_is_refused(running):
    with pytest.raises(SteplineError, match="nowhere"):
        running.pipeline("nowhere")


def test_pipeline_with_wrong_values_is_refused_with_all_of_them(running):
    running.put_script("upper", WRITE, ["work"])
    config = "config:\n  count: {label: Count, type: number, required: true}\n"
    config += "  key: {label: Key, type: secret, required: true}\n"
    running.put_protocol(
        "upper", PROTOCOL.format(slug="upper").replace("steps:", config + "steps:")
    )
    with pytest.raises(SteplineError) as caught:
        running.pipeline("upper", config={"count": "three", "key": "in clear", "cuont": 1})
    assert [problem.code for problem in caught.value.problems] == [
        "wrong-type",
        "secret-as-value",
        "unknown-config",
        "missing-value",
    ]
    with pytest.raises(SteplineError, match=r"'count' \(Count\) is required") as caught:
        running.pipeline("upper")
    assert caught.value.problems[0].hint == "set count in the pipeline's config"


def test_reprocess_starts_just_the_failed_ones(running):
    running.simple("fail", FAIL, retry=RetryPolicy())
    pipeline = running.service.pipelines.get("fail")
    files = [running.upload(f"{n}.txt").pointer.file_id for n in range(3)]
    running.ended(3)
    service = running.service.workflows
    assert service.reprocess(pipeline, kinds=frozenset({"completed", "unprocessed"})) == []
    failed = frozenset({"failed"})
    for dry_run in (True, False):
        chosen = service.reprocess(pipeline, kinds=failed, dry_run=dry_run)
        assert [each.pointer.file_id for each in chosen] == files
    running.ended(6)


def test_workflow_of_a_deleted_pipeline_goes_on_under_its_name(running, tmp_path):
    main = "import pathlib\ndef work(input, context):\n"
    main += f"    assert pathlib.Path({str(tmp_path / 'gate')!r}).exists()\n"
    main += "    return context.pipeline_config['pipelineName']\n"
    pipeline = running.simple("named", main, retry=RetryPolicy())
    running.upload()
    (failed,) = running.ended(1)
    running.service.pipelines.delete(pipeline.id)
    (tmp_path / "gate").touch()
    running.service.workflows.retry(failed.id)
    wait_for(lambda: running.workflows()[0].status is WorkflowStatus.COMPLETED)
    assert running.service.workflows.get(failed.id).state["output"] == "named"


def test_schedule_fires_without_a_file(running):
    running.put_script("tick", "def work(input, context):\n    return 1\n", ["work"])
    running.put_protocol(
        "tick",
        """\
protocolSchema: v3
name: tick
constraints: {trigger: {type: scheduled}}
steps:
  - id: work
    task: {namespace: private-demo, slug: tick, version: v1.0.0, function: work}
""",
    )
    running.pipeline("tick", trigger=Schedule("* * * * *"))
    now = time.time()
    scheduler = running.service._scheduler
    scheduler.fire_due(now, now + 90)
    scheduler.fire_due(now, now + 90)  # the same minute again makes no other workflow
    assert len(running.ended(1)) == 1


def test_restarted_service_goes_on_with_what_ran(tmp_path, cache):
    first = RunningService(tmp_path / "home", cache=cache)
    first.simple("slow", SLOW.replace("60", "0.5"))
    first.upload()
    wait_for(lambda: begun(first))
    first.stop()
    second = RunningService(tmp_path / "home", cache=cache)
    try:
        (workflow,) = second.ended(1)
        assert workflow.status is WorkflowStatus.COMPLETED
        (attempt,) = second.service.workflows.details(workflow.id).attempts
        assert attempt.attempt == 1
    finally:
        second.stop()


def test_watched_folder_takes_each_file_once(tmp_path, cache):
    watched = tmp_path / "inbox"
    watched.mkdir()
    (watched / "before.txt").write_text("before")
    service = RunningService(tmp_path / "home", cache=cache, watched=[watched])
    try:
        service.simple("upper", WRITE)
        (watched / "sub").mkdir()
        (watched / "sub" / "after.txt").write_text("after")
        (ended,) = service.ended(1)
        key = ended.state["inputFile"]["fileKey"]
        assert key == "demo/inbox/RAW/sub/after.txt"
        page = service.service.files.page(prefix="", after=0, limit=10)
        assert sum(each.category.value == "RAW" for each in page.items) == 2
    finally:
        service.stop()
    again = RunningService(tmp_path / "home", cache=cache, watched=[watched])
    try:
        time.sleep(0.3)
        assert len(again.workflows()) == 1
    finally:
        again.stop()


def test_retry_in_another_environment_than_before_is_refused(running, monkeypatch):
    running.simple("fail", FAIL, retry=RetryPolicy())
    running.upload()
    (failed,) = running.ended(1)
    monkeypatch.setattr(running.service._ports.executor, "prepare", lambda *_, **__: "sha256:new")
    running.service.workflows.retry(failed.id)
    get = running.service.workflows.get
    wait_for(lambda: "sha256:new" in str(get(failed.id).state["error"]))
    assert get(failed.id).status is WorkflowStatus.FAILED

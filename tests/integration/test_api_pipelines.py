"""Pipelines, workflows, settings and secrets over HTTP."""

import time
from datetime import datetime, timedelta, timezone

import pytest

from tests.support.serving import error_of, serving


@pytest.fixture(scope="module")
def api(tmp_path_factory, stepline_cache):
    with serving(tmp_path_factory.mktemp("service"), cache=stepline_cache) as made:
        made.deploy_example()
        made.running.put_protocol("keyed", KEYED)
        yield made


KEYED = """\
protocolSchema: v3
name: Keyed
config:
  key: {label: Key, type: secret, required: true}
steps:
  - id: greet
    task: {namespace: private-demo, slug: hello, version: v1.0.0, function: greet}
    input: {input_file_pointer: $( workflow.inputFile ), greeting: Hello}
"""


def object_of(name, prefix="nothing/", **fields):
    """Return a pipeline of the example in the published fields."""
    leaf = {"key": "filePath", "operator": "starts with", "value": prefix}
    group = {"groupLevel": 2, "groupOperator": "AND", "groups": [leaf]}
    return {
        "name": name,
        "masterScriptNamespace": "private-demo",
        "masterScriptSlug": "hello",
        "masterScriptVersion": "v1.0.0",
        "triggerType": "custom",
        "triggerCondition": {"groupLevel": 1, "groupOperator": "AND", "groups": [group]},
        **fields,
    }


def test_pipeline_file_is_planned_and_then_stored(api):
    stored = api.upload("planned/one.json")
    text = (
        "name: planned\nprotocol: private-demo/hello:v1.0.0\n"
        "trigger: {all: [filePath starts with planned/]}\n"
    )
    plan = api.put("/v1/pipelines?plan=true", content=text).json()
    assert [each["file"]["fileId"] for each in plan["wouldFire"]] == [stored["fileId"]]
    assert plan["total"] == 1
    assert api.get("/v1/pipeline/planned").status_code == 404
    made = api.put("/v1/pipelines", content=text).json()
    assert (made["name"], made["revision"]) == ("planned", 1)
    assert api.put("/v1/pipelines", content=text).json()["revision"] == 1
    assert "planned" in [each["name"] for each in api.get("/v1/pipelines").json()["items"]]


def test_pipeline_file_with_faults_names_all_with_their_places(api):
    text = "name: x\nprotocl: a\ntrigger: {all: [colour is red]}\n"
    answer = api.put("/v1/pipelines?file=push.yml", content=text)
    assert answer.status_code == 422
    error_of(answer)
    problems = answer.json()["problems"]
    assert {(each["file"], each["line"]) for each in problems} >= {("push.yml", 2), ("push.yml", 3)}
    assert all(each["message"] and each["severity"] == "error" for each in problems)


@pytest.mark.parametrize(
    ("content", "said"), [(b"\xff", "not valid UTF-8"), (b"", ""), (b"a: [", "pipeline.yml")]
)
def test_pipeline_file_that_is_none_is_refused(api, content, said):
    answer = api.put("/v1/pipelines", content=content)
    assert (answer.status_code, said in error_of(answer)) == (422, True)


def test_pipeline_object_lives_through_create_update_and_revisions(api):
    made = api.post("/v1/pipeline/create", json=object_of("objects", priority=7))
    assert (made.status_code, made.json()["priority"]) == (201, 7)
    again = api.post("/v1/pipeline/create", json=object_of("objects"))
    assert (again.status_code, "update it" in error_of(again)) == (409, True)
    path = f"/v1/pipeline/update/{made.json()['id']}"
    changed = api.post(path, json={**made.json(), "priority": 3}).json()
    assert (changed["revision"], changed["priority"]) == (2, 3)
    revisions = api.get("/v1/pipeline/objects/revisions").json()["items"]
    assert [each["priority"] for each in revisions] == [7, 3]
    assert api.get("/v1/pipeline/objects/revisions/1").json()["priority"] == 7
    assert api.get("/v1/pipeline/objects/revisions/3").status_code == 404
    assert api.post(path, json=object_of("other")).status_code == 422


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"colour": "red"}, "colour"),
        ({"priority": "high"}, "priority"),
        ({"masterScriptVersion": "v9.9.9"}, "v1.0.0"),
        ({"masterScriptSlug": "helo"}, "hello"),
        ({"pipelineConfig": {"greeting": {"setting": "unset"}}}, "unset"),
        ({"masterScriptSlug": "keyed"}, "Key"),
        (
            {"masterScriptSlug": "keyed", "pipelineConfig": {"key": {"secret": "unset-secret"}}},
            "unset-secret",
        ),
    ],
    ids=["field", "type", "version", "slug", "setting", "required", "secret"],
)
def test_pipeline_object_with_fault_is_refused(api, fields, said):
    answer = api.post("/v1/pipeline/create", json=object_of("faulty", **fields))
    assert answer.status_code in (404, 422)
    assert said in error_of(answer)
    assert api.get("/v1/pipeline/faulty").status_code == 404


def test_pipelines_are_searched_as_a_published_client_does(api):
    for number in range(5):
        api.post("/v1/pipeline/create", json=object_of(f"search {number}"))
    query = {
        "protocolNamespace": "private-demo",
        "protocolName": "hello",
        "protocolVersion": "v1.0.0",
        "artifactType": "protocol",
        "pipelineNameOrId": "SEARCH",
        "size": 2,
    }
    found, page = [], {"from": 0, "hasNext": True}
    while page["hasNext"] and len(found) < 10:
        page = api.get("/v1/pipeline/search", params={**query, "from": page["from"]}).json()
        found += [each["name"] for each in page["hits"]]
    assert (found, page["totalCount"]) == ([f"search {number}" for number in range(5)], 5)
    none = api.get("/v1/pipeline/search", params={**query, "protocolVersion": "v2.0.0"}).json()
    assert none["hits"] == []


def test_pipeline_status_pauses_and_resumes(api):
    api.set_pipeline("pausing", prefix="pausing/")
    path = "/v1/pipeline/pausing/status"
    assert api.post(path, json={"status": "paused"}).status_code == 204
    file_id = api.upload("pausing/one.json")["fileId"]
    (decision,) = [
        each
        for each in api.get(f"/v1/files/{file_id}/explain").json()["items"]
        if each["pipelineName"] == "pausing"
    ]
    assert decision["decision"] == "paused"
    assert api.post(path, json={"status": "enabled"}).status_code == 204
    workflow = f"/v1/workflow/{decision['workflowId']}"
    assert api.until(workflow, lambda each: each["status"] == "completed")["output"]["result"]
    assert api.post(path, json={"status": "asleep"}).status_code == 400


def test_pipeline_is_processed_for_files_and_deleted(api):
    api.set_pipeline("asked", prefix="asked/")
    file_id = api.upload("elsewhere/one.json")["fileId"]
    given = {"fileIds": [file_id, "none"]}
    answer = api.post("/v1/pipeline/process/asked", json=given).json()
    (success,), (error,) = answer["success"], answer["error"]
    assert (success["fileId"], error["fileId"]) == (file_id, "none")
    assert "no file" in error["error"]
    api.until(f"/v1/workflow/{success['workflowId']}", lambda w: w["status"] == "completed")
    assert api.delete("/v1/pipelines/asked").status_code == 204
    assert api.get("/v1/pipeline/asked").status_code == 404


def test_pipeline_reprocesses_the_files_of_a_kind(api):
    file_id = api.upload("later/one.json")["fileId"]
    api.set_pipeline("later", prefix="later/")
    path = "/v1/pipelines/later/reprocess"
    dry = api.post(path, json={"kinds": ["unprocessed"], "dryRun": True}).json()
    assert dry == api.post(path, json={"kinds": ["unprocessed"]}).json()
    files = [{"fileId": file_id, "fileKey": "demo/upload/RAW/later/one.json"}]
    assert dry == {"fileIds": [file_id], "files": files, "total": 1}
    query = "/v1/workflow/search?filter=completed&pipelineId=later"
    api.until(query, lambda each: each["totalCount"] == 1)
    assert api.post(path, json={"kinds": ["unprocessed", "failed"]}).json()["total"] == 0
    bulk = "/v1/pipeline/later/create-pipeline-bulk-processing-job"
    kinds = {"pipelineProcessingTypes": ["PIPELINE_PROCESSING_COMPLETED"]}
    assert api.post(bulk, json={**kinds, "autoProcess": False}).json() == dry
    assert api.post(path, json={"kinds": []}).status_code == 400


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        pytest.param("-1", "+1", True, id="around it, with offsets"),
        pytest.param("+1", "", False, id="after it"),
        pytest.param("", "-1", False, id="before it"),
        pytest.param("0", "", True, id="just then"),
        pytest.param("", "0", False, id="up to then"),
        pytest.param("2020-01-01", "2999-12-31", True, id="dates"),
    ],
)
def test_reprocess_times_are_instants(api, since, until, found):
    if not api.get("/v1/files", params={"prefix": "upload/RAW/dated/"}).json()["items"]:
        api.upload("dated/one.json")
        api.set_pipeline("dated", prefix="dated/")
    (file,) = api.get("/v1/files", params={"prefix": "upload/RAW/dated/"}).json()["items"]
    times = [moved(file["createdAt"], each) for each in (since, until)]
    body = {"kinds": ["unprocessed"], "since": times[0], "until": times[1], "dryRun": True}
    assert api.post("/v1/pipelines/dated/reprocess", json=body).json()["total"] == int(found)
    bulk = {
        "pipelineProcessingTypes": ["PIPELINE_PROCESSING_UNPROCESSED"],
        "autoProcess": False,
        **{name: time for name, time in zip(("startDate", "endDate"), times, strict=True) if time},
    }
    path = "/v1/pipeline/dated/create-pipeline-bulk-processing-job"
    assert api.post(path, json=bulk).json()["total"] == int(found)


def moved(at, hours):
    """Return a time so many hours later, as it is written elsewhere than in UTC."""
    if hours not in ("0", "+1", "-1"):
        return hours
    moment = datetime.fromisoformat(at) + timedelta(hours=int(hours))
    return moment.astimezone(timezone(timedelta(hours=-11))).isoformat()


@pytest.mark.parametrize("time", ["soon", "2026-13-01", "7d"])
def test_times_that_are_none_are_refused(api, time):
    api.set_pipeline("timed", prefix="timed/")
    body = {"kinds": ["failed"], "since": time}
    for answer in (
        api.post("/v1/pipelines/timed/reprocess", json=body),
        api.get("/v1/workflow/search", params={"startTime": time}),
    ):
        assert answer.status_code == 422
        assert f"'{time}' is no time" in error_of(answer)


def test_deleted_pipeline_keeps_its_name_in_lists(api):
    made = api.set_pipeline("gone", prefix="gone/")
    file_id = api.upload("gone/one.json")["fileId"]
    workflow = api.workflow_of(file_id)
    api.delete("/v1/pipelines/gone")
    hits = api.get("/v1/workflow/search", params={"size": 1000}).json()["hits"]
    assert {each["pipelineName"] for each in hits if each["pipelineId"] == made["id"]} == {"gone"}
    assert api.get(f"/v1/workflow/{workflow['id']}").json()["pipelineName"] == "gone"
    items = api.get(f"/v1/files/{file_id}/explain").json()["items"]
    assert "gone" in [each["pipelineName"] for each in items if each["decision"] == "fired"]


def test_decisions_name_files_by_their_keys(api):
    api.set_pipeline("keys", prefix="keys/")
    api.upload("keys/one.json")
    (entry,) = [
        each
        for each in api.get("/v1/pipelines/keys/explain").json()["items"]
        if each["decision"] == "fired"
    ]
    assert entry["fileKey"] == "demo/upload/RAW/keys/one.json"


def test_workflows_are_found_by_instants(api):
    api.set_pipeline("instants", prefix="instants/")
    workflow = api.workflow_of(api.upload("instants/one.json")["fileId"])
    at = workflow["createdAt"]
    for times, count in (
        ({"startTime": moved(at, "-1"), "endTime": moved(at, "+1")}, 1),
        ({"startTime": moved(at, "0")}, 1),
        ({"endTime": moved(at, "0")}, 0),
    ):
        query = {"pipelineId": "instants", **times}
        assert api.get("/v1/workflow/search", params=query).json()["totalCount"] == count


def test_workflow_record_log_and_pins(api):
    api.set_pipeline("whole", prefix="whole/")
    file = api.upload("whole/one.json")
    workflow = api.workflow_of(file["fileId"])
    (task,) = workflow["tasks"]
    assert (workflow["status"], task["status"], task["stepId"]) == ("completed",) * 2 + ("greet",)
    assert workflow["protocol"]["slug"] == "hello"
    (written,) = workflow["files"]
    assert api.get(f"/v1/files/{written['fileId']}/content").text == "Hello, Ada!\n"
    origin = api.get(f"/v1/files/{written['fileId']}/provenance").json()
    assert [each["fileId"] for each in origin["from"]] == [file["fileId"]]
    log = api.get(f"/v1/workflow/{workflow['id']}/log", params={"step": "greet"}).json()
    assert [line["text"] for line in log["lines"]] == ["Hello, Ada!"]
    assert (log["complete"], log["workflowStatus"]) == (True, "completed")
    assert api.get(f"/v1/workflow/{workflow['id']}/log?step=push").status_code == 404
    pins = api.get(f"/v1/workflow/{workflow['id']}/pins").json()
    assert pins["inputFile"]["fileId"] == file["fileId"]
    assert api.get(f"/v1/sources/{pins['steps'][0]['digest']}").status_code == 200


def test_workflow_failed_is_retried_and_finished_is_not_cancelled(api):
    api.set_pipeline("fails", prefix="fails/")
    api.post(
        "/v1/pipeline/update/fails",
        json=object_of("fails", "fails/", retryBehavior="off"),
    )
    failed = api.workflow_of(api.upload("fails/one.json", b"no json")["fileId"])
    assert (failed["status"], failed["output"]["type"]) == ("failed", "error")
    path = f"/v1/workflow/{failed['id']}"
    answer = api.post(f"{path}/cancel", json={"reason": "no use"})
    assert (answer.status_code, "ended already" in error_of(answer)) == (422, True)
    assert api.post(f"{path}/retry").status_code == 200
    again = api.until(path, lambda each: each["tasks"][0]["retry"] == 1 and each["output"])
    assert len(again["tasks"][0]["attempts"]) == 2


def test_workflows_are_found_in_pages(api):
    api.set_pipeline("pages", prefix="pages/")
    for number in range(3):
        api.workflow_of(api.upload(f"pages/{number}.json")["fileId"])
    query = {"pipelineId": "pages", "size": 2}
    first = api.get("/v1/workflow/search", params=query).json()
    assert (len(first["hits"]), first["hasNext"], first["totalCount"]) == (2, True, 3)
    last = api.get("/v1/workflow/search", params={**query, "from": first["from"]}).json()
    other = api.get("/v1/workflow/search", params={**query, "after": first["after"]}).json()
    assert last["hits"] == other["hits"]
    assert (len(last["hits"]), last["hasNext"], other["after"]) == (1, False, 0)


def test_workflow_log_waits_for_lines_and_ends_with_the_workflow(api):
    running = api.running
    main = "import time\ndef work(i, c):\n    time.sleep(1)\n    print('late', flush=True)\n"
    running.simple("waits", main + "    time.sleep(30)\n")
    file_id = api.upload("waits.txt")["fileId"]
    items = api.get(f"/v1/files/{file_id}/explain").json()["items"]
    (fired,) = [each for each in items if each["pipelineName"] == "waits"]
    path = f"/v1/workflow/{fired['workflowId']}"
    log = api.get(f"{path}/log?wait=15").json()
    assert [line["text"] for line in log["lines"]] == ["late"]
    assert not log["complete"]
    begin = time.monotonic()
    assert api.get(f"{path}/log?wait=0.5&after={log['after']}").json()["lines"] == []
    assert 0.4 < time.monotonic() - begin < 10
    assert api.get("/v1/pipelines/waits/explain").json()["items"][0]["decision"] == "fired"
    assert api.post(f"{path}/cancel").json()["status"] == "cancelled"
    api.delete("/v1/pipelines/waits")
    ended = api.get(f"{path}/log?wait=20&after={log['after']}").json()
    assert ended["workflowStatus"] == "cancelled"
    assert time.monotonic() - begin < 15


def test_status_by_pipeline_counts(api):
    made = api.set_pipeline("counted", prefix="counted/")
    api.post("/v1/pipeline/counted/status", json={"status": "paused"})
    api.upload("counted/one.json")
    results = api.get("/v1/workflow/statusByPipeline").json()["results"]
    (found,) = [each for each in results if each["pipelineId"] == made["id"]]
    assert found["statusCounts"] == {"pending": 1, "processing": 0}


def test_settings_are_kept_and_refused_while_used(api):
    assert api.put("/v1/settings/words", json={"value": "Good day"}).status_code == 204
    assert {"name": "words", "value": "Good day"} in api.get("/v1/settings").json()["items"]
    config = {"greeting": {"setting": "words"}}
    api.post("/v1/pipeline/create", json=object_of("uses words", pipelineConfig=config))
    answer = api.delete("/v1/settings/words")
    assert (answer.status_code, "uses words" in error_of(answer)) == (422, True)
    api.delete("/v1/pipelines/uses%20words")
    assert api.delete("/v1/settings/words").status_code == 204
    assert api.delete("/v1/settings/words").status_code == 404


def test_secrets_are_never_shown(api):
    value = "very-secret-value"
    answer = api.put("/v1/secrets/a-key", json={"value": value})
    assert answer.json() == {"name": "a-key", "version": 1}
    listed = api.get("/v1/secrets")
    assert [each["name"] for each in listed.json()["items"]] == ["a-key"]
    assert value not in listed.text
    config = {"key": {"secret": "a-key"}}
    fields = object_of("uses a-key", masterScriptSlug="keyed", pipelineConfig=config)
    made = api.post("/v1/pipeline/create", json=fields)
    assert made.json()["pipelineConfig"]["key"]["ssm"].endswith("/org-secrets/a-key")
    answer = api.delete("/v1/secrets/a-key")
    assert (answer.status_code, "uses a-key" in error_of(answer)) == (422, True)
    api.delete("/v1/pipelines/uses%20a-key")
    assert api.delete("/v1/secrets/a-key").status_code == 204
    assert api.delete("/v1/secrets/a-key").status_code == 404

"""All that the service finds in a pipeline comes at once, each with its place and its hint."""

import pytest

from tests.support.serving import error_of, serving

KEYED = """\
protocolSchema: v3
name: Keyed
config:
  count: {label: Count, type: number, required: true}
  key: {label: Key, type: secret, required: true}
  owner: {label: Owner, type: string, required: true}
steps:
  - id: greet
    task: {namespace: private-demo, slug: hello, version: v1.0.0, function: greet}
    input: {input_file_pointer: $( workflow.inputFile ), greeting: Hello}
"""
FILE = """\
name: Faulty
protocol: private-demo/keyed:v1.0.0
trigger: {cron: "0 6 * * *"}
config:
  owner: {setting: ownr}
  cuont: 3
  key: {secret: unset-key}
steps:
  gret: {memory_mb: 64}
"""
OBJECT = {
    "name": "Faulty",
    "masterScriptNamespace": "private-demo",
    "masterScriptSlug": "keyed",
    "masterScriptVersion": "v1.0.0",
    "triggerType": "sched",
    "triggerCondition": {"cron": "0 6 * * *"},
    "pipelineConfig": {"owner": {"setting": "ownr"}, "cuont": 3, "key": {"secret": "unset-key"}},
    "stepsConfig": {"gret": {"memoryInMB": 64}},
}


@pytest.fixture(scope="module")
def api(tmp_path_factory, stepline_cache):
    with serving(tmp_path_factory.mktemp("service"), cache=stepline_cache) as made:
        made.deploy_example()
        made.running.put_protocol("keyed", KEYED)
        made.put("/v1/settings/owner", json={"value": "me"})
        yield made


def apply(api, text, *, plan=False):
    """Apply a file that must be refused; returns the message and the problems."""
    answer = api.put(f"/v1/pipelines?file=push.yml&plan={plan}", content=text)
    assert answer.status_code in (404, 422), answer.text
    return error_of(answer), answer.json()["problems"]


def places(problems):
    return [(each["line"], each["column"], each["code"]) for each in problems]


@pytest.mark.parametrize("plan", [False, True], ids=["to be stored", "planned"])
def test_pipeline_file_has_all_that_the_service_finds_at_its_places(api, plan):
    _, problems = apply(api, FILE, plan=plan)
    assert places(problems) == [
        (3, 10, "wrong-trigger"),
        (4, 1, "missing-value"),
        (5, 20, "config-reference"),
        (6, 3, "unknown-config"),
        (7, 17, "missing-secret"),
        (9, 3, "unknown-step"),
    ]
    assert all(each["file"] == "push.yml" and each["hint"] for each in problems)


def test_pipeline_file_problems_name_their_path(api):
    _, problems = apply(api, FILE)
    assert [each["path"] for each in problems] == [
        "trigger",
        "config.count",
        "config.owner.setting",
        "config.cuont",
        "config.key.secret",
        "steps.gret",
    ]


def test_pipeline_file_faults_of_form_come_with_those_of_the_service(api):
    text = FILE.replace("name: Faulty", "name: Faulty\nlabels: {a: ''}")
    text = text.replace('{cron: "0 6 * * *"}', "category si raw").replace("ownr", "owner")
    _, problems = apply(api, text)
    assert places(problems) == [
        (2, 10, "invalid-label"),
        (4, 19, "unknown-operator"),
        (5, 1, "missing-value"),
        (7, 3, "unknown-config"),
        (8, 17, "missing-secret"),
        (10, 3, "unknown-step"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("keyed:v1", "keyd:v1", [(2, 11, "no-protocol"), (5, 20, "config-reference")]),
        ("keyed:v1.0.0", "keyed", [(2, 11, "invalid-protocol"), (5, 20, "config-reference")]),
        ("protocol: p", "#", [(1, 1, "missing-key"), (5, 20, "config-reference")]),
    ],
    ids=["unknown", "wrong form", "missing"],
)
def test_pipeline_file_without_its_protocol_is_still_looked_through(api, old, new, expected):
    _, problems = apply(api, FILE.replace(old, new))
    assert places(problems) == [*expected, (7, 17, "missing-secret")]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"name: x\n\xff", (2, 1, "not-utf8")),
        (b"name: \0", (1, 7, "not-text")),
        ("name: x".encode("utf-16"), (1, 1, "not-utf8")),
    ],
    ids=["not UTF-8", "NUL", "UTF-16"],
)
def test_pipeline_file_that_is_no_text_says_where(api, content, place):
    _, problems = apply(api, content)
    assert places(problems) == [place]


def test_pipeline_file_with_one_fault_says_it_in_the_message(api):
    text = "name: x\nprotocol: private-demo/helo:v1.0.0\ntrigger: category is raw\n"
    message, [problem] = apply(api, text)
    what = "the protocol private-demo/helo:v1.0.0 is not published"
    hint = "did you mean 'hello'? Or publish it: stepline put protocol private-demo helo v1.0.0"
    assert message.startswith(f"push.yml:2:11: {what}. Hint: {hint}")
    assert (problem["message"], problem["hint"].startswith(hint)) == (what, True)


def test_pipeline_file_with_many_faults_has_no_hint_of_one_in_the_message(api):
    message, problems = apply(api, FILE)
    assert "Hint" not in message
    assert all(each["message"] in message for each in problems)


def test_ledger_says_why_a_pipeline_has_no_plan_any_more(api):
    text = "name: bare\nprotocol: private-demo/keyed:v1.0.0\ntrigger: fileName is bare.txt\n"
    text += "config: {count: 1, owner: {setting: renewed}, key: {secret: key-a}}\n"
    assert api.put("/v1/secrets/key-a", json={"value": "0123456789"}).status_code == 200
    assert api.put("/v1/settings/renewed", json={"value": "me"}).status_code == 204
    assert api.put("/v1/pipelines", content=text).status_code == 200
    assert api.put("/v1/settings/renewed", json={"value": 5}).status_code == 204
    file_id = api.upload("bare.txt")["fileId"]
    decisions = api.get(f"/v1/files/{file_id}/explain").json()["items"]
    [found] = [each for each in decisions if each["pipelineName"] == "bare"]
    reason = "config 'owner' (Owner) must be of type string. Hint: it is 5"
    assert (found["decision"], found["reason"]) == ("error", reason)


def test_pipeline_object_has_all_that_the_service_finds_by_its_own_fields(api):
    answer = api.post("/v1/pipeline/create", json=OBJECT)
    assert (answer.status_code, "Hint" in error_of(answer)) == (422, False)
    assert sorted((each["path"], each["line"]) for each in answer.json()["problems"]) == [
        ("pipelineConfig.count", None),
        ("pipelineConfig.cuont", None),
        ("pipelineConfig.key.secret", None),
        ("pipelineConfig.owner.setting", None),
        ("stepsConfig.gret", None),
        ("triggerCondition", None),
    ]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"masterScriptSlug": "keyd"}, "masterScriptSlug"),
        ({"priority": 70}, "priority"),
        ({"pipelineConfig": {"key": {"secret": "A B"}}}, "pipelineConfig.key.secret"),
    ],
    ids=["protocol", "number", "name"],
)
def test_pipeline_object_problem_names_the_field(api, fields, path):
    answer = api.post("/v1/pipeline/create", json={**OBJECT, **fields})
    assert path in [each["path"] for each in answer.json()["problems"]]

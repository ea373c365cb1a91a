"""The protocol `common/harmonize-and-push`: one table, and where it goes is only config."""

import hashlib
import json

import pytest

from stepline.testing.http_standin import HttpStandIn
from stepline.testing.huggingface_standin import HuggingFaceStandIn

PROTOCOL = "protocols/harmonize-and-push"
SECRET = "not-a-real-secret"
TOKEN = "hf_not_a_real_token"
EXPORT = """\
Device;XY-7

Zeit;Temp (\u00b0F);Name
04.03.2025 10:00:00;98,6;K-1
04.03.2025 10:05:00;OVER;K-1
"""
HARMONIZED = """\
time,temperature_degC,sample
2025-03-04T09:00:00Z,37,K-1
2025-03-04T09:05:00Z,,K-1
"""
CONFIG = {
    "columns": {
        "time": {"from": "Zeit", "type": "time", "format": "%d.%m.%Y %H:%M:%S"},
        "temperature_degC": {
            "from": "Temp (\u00b0F)",
            "type": "number",
            "unit": "degF",
            "to_unit": "degC",
        },
        "sample": {"from": "Name", "required": True},
    },
    "missing": ["OVER"],
    "decimal": ",",
    "time_zone": "Europe/Berlin",
}
PUSHES = ["kaggle", "huggingface", "mlflow", "s3", "http"]


@pytest.fixture
def endpoint():
    with HttpStandIn(signing_secret=SECRET) as endpoint:
        yield endpoint


@pytest.fixture
def run(run_protocol, files, secrets):
    secrets["http_signing_secret"] = SECRET

    def run(export=EXPORT, **config):
        file = files.add("run7.csv", content=export.encode())
        return run_protocol(PROTOCOL, input=file, config={**CONFIG, **config})

    return run


def statuses(workflow):
    return {name: workflow.steps[name].status for name in PUSHES}


def test_table_is_harmonized_and_pushed_where_the_config_says(run, endpoint):
    first, again = (run(http_url=f"{endpoint.url}/runs", note="x") for _ in range(2))

    assert first.status == "completed", first.error
    assert statuses(first) == {**dict.fromkeys(PUSHES, "skipped"), "http": "success"}
    assert (first.output["end"], first.output["new"]) == ("verified", True)
    assert (again.output["end"], again.output["new"]) == ("verified", False)
    [version] = endpoint.versions["/runs"]
    [file] = version.files
    assert (file.name, version.note) == ("run7-harmonized.csv", "x")
    assert endpoint.blob(file.sha256).decode() == HARMONIZED


def test_without_a_destination_the_table_is_only_written(run, endpoint):
    workflow = run()

    assert workflow.files["run7-harmonized.csv"].text == HARMONIZED
    assert set(statuses(workflow).values()) == {"skipped"}
    assert endpoint.calls == ()


def test_dry_run_sends_nothing(run, endpoint):
    assert run(http_url=f"{endpoint.url}/runs", dry_run=True).output["end"] == "nothing published"
    assert endpoint.versions == {}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("OVER", "LOW", "run7.csv: line 5, column 'Temp (\u00b0F)': 'LOW' is no number"),
        ("98,6;K-1", "98,6;", "run7.csv: line 4, column 'Name': the value is missing"),
        ("Zeit", "Datum", "run7.csv: no header with all columns"),
    ],
    ids=["bad", "missing", "header"],
)
def test_fault_of_the_file_is_named_and_nothing_is_pushed(run, endpoint, old, new, words):
    workflow = run(EXPORT.replace(old, new), http_url=f"{endpoint.url}/runs")

    assert workflow.status == "failed"
    assert words in workflow.error
    assert endpoint.calls == ()


def test_secret_in_the_table_stops_the_push(run, endpoint):
    workflow = run(EXPORT.replace("K-1", SECRET), http_url=f"{endpoint.url}/runs")

    assert workflow.status == "failed"
    assert "holds the value of the secret 'http_signing_secret'" in workflow.error
    assert endpoint.versions == {}


@pytest.mark.http
@pytest.mark.huggingface
def test_same_table_goes_to_two_platforms_by_their_real_clients(run_protocol, files, secrets):
    secrets["http_signing_secret"], secrets["huggingface_token"] = SECRET, TOKEN
    export = files.add("run7.csv", content=EXPORT.encode())
    with HttpStandIn(signing_secret=SECRET) as endpoint, HuggingFaceStandIn() as hub:
        given = {"http_url": f"{endpoint.url}/runs", "huggingface_repo": "me/runs"}
        config = {**CONFIG, **given, "huggingface_endpoint": hub.url}
        workflow = run_protocol(PROTOCOL, input=export, config=config, executor="process")

        assert workflow.status == "completed", workflow.error
        [version] = endpoint.versions["/runs"]
        head = hub.datasets["me/runs"].head
    ends = {workflow.steps[name].output["end"] for name in ("huggingface", "http")}
    assert ends == {"verified"}
    digest = hashlib.sha256(HARMONIZED.encode()).hexdigest()
    assert [file.sha256 for file in version.files] == [digest]
    assert head.files["run7-harmonized.csv"].sha256 == digest
    record = json.dumps(workflow.record)
    assert (SECRET in record, TOKEN in record) == (False, False)

"""The whole protocol, against an endpoint on this machine that keeps its own record."""

import csv
import io

import pytest

from stepline.testing.http_standin import HttpStandIn
from stepline.testing.loopback import Refuse

SECRET = "not-a-real-secret"
NAMES = ["curves.json", "results.csv", "wells.csv"]


@pytest.fixture
def endpoint():
    with HttpStandIn(signing_secret=SECRET) as endpoint:
        yield endpoint


@pytest.fixture
def run(run_protocol, secrets, endpoint):
    secrets["signing_secret"] = SECRET
    url = f"{endpoint.url}/qpcr"
    return lambda file, **config: run_protocol(input=file, config={"url": url, **config})


def test_protocol_good_plate_is_pushed_and_verified(run, endpoint):
    workflow = run("data/QX-0311.txt")

    assert workflow.status == "completed", workflow.error
    assert (workflow.output["end"], workflow.output["verified_by"]) == ("verified", "bytes")
    [version] = endpoint.versions["/qpcr"]
    assert (sorted(file.name for file in version.files), version.note) == (NAMES, "QX-0311")
    pushed = {file.name: endpoint.blob(file.sha256) for file in version.files}
    assert pushed == {name: workflow.files[name].content for name in NAMES}
    rows = list(csv.DictReader(io.StringIO(pushed["results.csv"].decode())))
    assert {row["sample"] for row in rows} == {f"P-10{number}" for number in range(1, 6)}


def test_protocol_same_plate_again_sends_nothing_new(run, endpoint):
    assert [run("data/QX-0311.txt").output["new"] for _ in range(2)] == [True, False]
    assert len(endpoint.versions["/qpcr"]) == 1


def test_protocol_bad_plate_is_not_pushed(run, endpoint):
    workflow = run("data/QX-0312.txt")

    assert workflow.steps["push"].status == "skipped"
    faults = workflow.steps["quantify"].output["faults"]
    assert any("r squared is" in fault for fault in faults)
    assert any("control F2 reads 31.9 cycles" in fault for fault in faults)
    assert endpoint.calls == ()


def test_protocol_dry_run_sends_nothing(run, endpoint):
    assert run("data/QX-0311.txt", dry_run=True).output["end"] == "nothing published"
    assert endpoint.versions == {}


def test_protocol_refused_push_fails_with_the_endpoints_words(run, endpoint):
    endpoint.faults.append(Refuse("Push", 403, "this plate is closed"))

    workflow = run("data/QX-0311.txt")

    assert workflow.status == "failed"
    assert "nothing was published" in workflow.error
    assert "this plate is closed" in workflow.error


def test_protocol_file_of_another_instrument_fails_in_its_first_step(run, files):
    workflow = run(files.add("balance.txt", content=b"weight 12.1 mg\n"))

    assert workflow.error.startswith("balance.txt: no line '[Results]'")
    assert workflow.steps["push"].status == "skipped"

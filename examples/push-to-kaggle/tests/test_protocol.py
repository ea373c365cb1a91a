"""The whole protocol: in this process, and as in production with the real client.

The tests with the client install it once, from the package registry, and talk to a
stand-in for Kaggle's service on this machine.
"""

import json

import pytest

from stepline.testing.kaggle_standin import KaggleStandIn, StatusError

KEY = "0123456789abcdef0123456789abcdef"
DATASET = "me/exampledataset"


@pytest.fixture
def run(run_protocol, secrets):
    """Run the protocol on a file; with a stand-in, in workers that know its address."""
    secrets["kaggle_api_key"] = KEY

    def run(file, kaggle=None, user="me"):
        how = {"executor": "process", "env": kaggle.env} if kaggle else {}
        return run_protocol(input=file, config={"kaggle_username": user}, **how)

    return run


def test_protocol_labels_harmonizes_enriches_and_exports(run, files):
    workflow = run("data/run42.json", user="not a user name")

    assert "'exampledataset' is no name of a dataset" in workflow.error
    assert ("run", "42") in files["run42.json"].labels
    assert set(workflow.files) == {"harmonized.json", "enriched.json", "data.json"}
    enriched = workflow.files["enriched.json"]
    assert ("stage", "enriched") in enriched.labels
    assert enriched.json()["extra_data"]["curve"]["r_squared"] > 0.99
    assert workflow.files["data.json"].json() == {"data": enriched.json()["extra_data"]}


def test_protocol_file_of_another_instrument_fails_in_its_first_step(run, files):
    workflow = run(files.add("balance.json", content={"weight_mg": 12.1}))

    assert workflow.steps["decorate"].status == "failed"
    assert "not an export of the plate reader" in workflow.error
    assert workflow.steps["push"].status == "skipped"


def test_protocol_pushes_a_version_for_each_file(run):
    with KaggleStandIn(accounts={"me": KEY}) as kaggle:
        workflows = [run("data/run42.json", kaggle), run("data/run43.json", kaggle)]
        versions = kaggle.datasets[DATASET].versions
        received = [
            {file.name: json.loads(kaggle.blob(file.sha256)) for file in version.files}
            for version in versions
        ]

    assert [workflow.output["end"] for workflow in workflows] == ["verified"] * 2
    assert [workflow.output["remote"]["version"] for workflow in workflows] == ["1", "2"]
    enriched = [workflow.files["enriched.json"].json() for workflow in workflows]
    assert received == [{"data.json": {"data": each["extra_data"]}} for each in enriched]
    assert KEY not in json.dumps([workflow.record for workflow in workflows])


def test_protocol_push_that_is_not_taken_fails_with_the_services_words(run):
    refusal = StatusError("CreateDataset", "The requested title is already in use")
    with KaggleStandIn(accounts={"me": KEY}, faults=[refusal]) as kaggle:
        workflow = run("data/run42.json", kaggle)

    assert workflow.status == "failed"
    assert "The requested title is already in use" in workflow.error

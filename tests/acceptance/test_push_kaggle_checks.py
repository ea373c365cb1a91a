"""Pushes to Kaggle by the command line, as the checks 3-23 and 3-24 word them."""

import json

import pytest

from stepline.testing.kaggle_standin import KaggleStandIn, StatusError
from stepline.testing.loopback import Cut, Refuse

pytestmark = pytest.mark.kaggle

KEY = "0123456789abcdef0123456789abcdef"
REF = "me/plate-readings"
WORDS = "no room on the shelf"


@pytest.fixture
def kaggle():
    with KaggleStandIn(accounts={"me": KEY}) as service:
        yield service


@pytest.fixture
def push(project, kaggle):
    """Pushes a text by the ready-made protocol, each time into a folder of its own."""

    def push(text, out):
        project.write("plate.csv", text)
        words = ["run", "common/push-dataset-to-kaggle", "--input", "plate.csv", "--out", out]
        words += ["--config", "dataset=plate-readings", "--config", "licence=CC0-1.0"]
        words += ["--config", "username=me", "--secret", "api_key=env:KEY"]
        env = [word for item in kaggle.env.items() for word in ("--env", "=".join(item))]
        return project.stepline(*words, *env, KEY=KEY)

    return push


def test_3_23_the_next_push_makes_a_version_whose_number_is_in_the_record(push, project, kaggle):
    first, second = push("well,od\nA1,0.25\n", "first"), push("well,od\nA1,0.50\n", "second")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert [version.number for version in kaggle.datasets[REF].versions] == [1, 2]
    for number, out in ((1, "first"), (2, "second")):
        record = project.record(out)
        assert record["status"] == "completed"
        assert record["output"]["remote"]["version"] == str(number)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Refuse("CreateDataset", 429, WORDS, retry_after=1, times=1), id="slow"),
        pytest.param(Cut("PutBlob", 5, times=1), id="cut"),
    ],
)
def test_3_24_a_push_that_is_held_up_for_a_while_is_tried_again(push, project, kaggle, fault):
    kaggle.faults.append(fault)

    done = push("well,od\nA1,0.25\n", "results")

    assert done.returncode == 0, done.stderr
    assert fault.struck
    (version,) = kaggle.datasets[REF].versions
    assert kaggle.blob(version.files[0].sha256) == b"well,od\nA1,0.25\n"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(StatusError("CreateDataset", WORDS), id="status error"),
        pytest.param(Refuse("CreateDataset", 403, WORDS), id="refused"),
        pytest.param(Refuse("CreateDataset", 429, WORDS, retry_after=3600), id="busy for hours"),
    ],
)
def test_3_24_a_push_that_is_refused_fails_with_the_services_words(push, project, kaggle, fault):
    kaggle.faults.append(fault)

    done = push("well,od\nA1,0.25\n", "results")

    record = project.record("results")
    assert (done.returncode, record["status"]) == (1, "failed")
    assert WORDS in json.dumps(record)
    assert WORDS in done.stdout + done.stderr
    assert not kaggle.datasets

"""Kernels, models and tokens of the stand-in for Kaggle, driven by the real client."""

import json
import subprocess

import pytest

from stepline.testing.kaggle_standin import KaggleStandIn, StatusError
from tests.support.kaggle_client import KEY, Client, installed

pytestmark = pytest.mark.kaggle

SOURCE = "print('\u00b5g')\n"
KERNEL = {
    "id": "me/plate-report",
    "title": "Plate report",
    "code_file": "report.py",
    "language": "python",
    "kernel_type": "script",
}
MODEL = {
    "ownerSlug": "me",
    "slug": "plate-model",
    "title": "Plate model",
    "isPrivate": True,
    "description": "Reads plates",
}
VARIATION = {
    "ownerSlug": "me",
    "modelSlug": "plate-model",
    "instanceSlug": "small",
    "framework": "pyTorch",
    "licenseName": "Apache 2.0",
    "overview": "The small one",
}
REF = "me/plate-model/pyTorch/small"


@pytest.fixture
def client(request, pytestconfig, tmp_path):
    line = getattr(request, "param", "2.2")
    (tmp_path / "home").mkdir()
    return Client(line, installed(line, pytestconfig.cache), tmp_path / "home")


@pytest.fixture
def kaggle():
    with KaggleStandIn(accounts={"me": KEY}) as service:
        yield service


@pytest.fixture
def kernel(tmp_path):
    """A folder with a script and its metadata."""
    folder = tmp_path / "kernel"
    folder.mkdir()
    (folder / "report.py").write_text(SOURCE)
    (folder / "kernel-metadata.json").write_text(json.dumps(KERNEL))
    return folder


@pytest.fixture
def model(tmp_path):
    """A folder with weights, and the metadata of model and variation."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(bytes(range(256)))
    (folder / "model-metadata.json").write_text(json.dumps(MODEL))
    (folder / "model-instance-metadata.json").write_text(json.dumps(VARIATION))
    return folder


@pytest.mark.parametrize("client", ["2.2", "1.6"], indirect=True)
def test_kernel_pushed_twice_has_two_versions_and_is_pulled_back(client, kaggle, kernel, tmp_path):
    first = client(kaggle, "kernels", "push", "-p", kernel)
    (kernel / "report.py").write_text(SOURCE * 2)
    second = client(kaggle, "kernels", "push", "-p", kernel)
    pulled = client(kaggle, "kernels", "pull", "me/plate-report", "-p", tmp_path / "got")

    assert "Kernel version 1 successfully pushed" in first.stdout, first.stderr
    assert "Kernel version 2 successfully pushed" in second.stdout, second.stderr
    assert pulled.returncode == 0, pulled.stderr
    assert (tmp_path / "got/plate-report.py").read_text() == SOURCE * 2
    report = kaggle.kernels["me/plate-report"]
    assert [version.source for version in report.versions] == [SOURCE, SOURCE * 2]
    assert (report.title, report.settings["isPrivate"]) == ("Plate report", True)


def test_kernel_run_is_queued_then_running_then_complete(client, kaggle, kernel):
    kaggle.processing = 2
    client(kaggle, "kernels", "push", "-p", kernel)

    said = [client(kaggle, "kernels", "status", "me/plate-report").stdout for _ in range(3)]

    assert ["QUEUED" in said[0], "RUNNING" in said[1], "COMPLETE" in said[2]] == [True] * 3


def test_kernel_run_that_fails_says_why(client, kaggle, kernel):
    kaggle.failure = "ZeroDivisionError in cell 3"
    client(kaggle, "kernels", "push", "-p", kernel)

    said = client(kaggle, "kernels", "status", "me/plate-report").stdout

    assert "ERROR" in said
    assert "ZeroDivisionError in cell 3" in said


def test_kernel_refused_by_the_service_is_an_error_in_the_answer(client, kernel):
    with KaggleStandIn(faults=[StatusError("SaveKernel", "no such accelerator")]) as kaggle:
        done = client(kaggle, "kernels", "push", "-p", kernel)

    assert "Kernel push error: no such accelerator" in done.stdout
    assert not kaggle.kernels


def test_kernel_of_somebody_else_is_denied(client, kaggle, kernel):
    (kernel / "kernel-metadata.json").write_text(json.dumps(KERNEL | {"id": "you/plate-report"}))

    done = client(kaggle, "kernels", "push", "-p", kernel)

    assert done.returncode == 1
    assert "was denied" in done.stdout + done.stderr


def made(client, kaggle, folder):
    """Make the model with its variation."""
    model = client(kaggle, "models", "create", "-p", folder)
    variation = client(kaggle, "models", "variations", "create", "-p", folder)
    assert "Your model was created" in model.stdout, model.stderr
    assert "Your model instance was created" in variation.stdout, variation.stderr


def test_model_version_is_numbered_and_keeps_the_old_bytes(client, kaggle, model):
    made(client, kaggle, model)
    (model / "weights.bin").write_bytes(b"trained on")

    versions = ["models", "variations", "versions"]
    done = client(kaggle, *versions, "create", REF, "-p", model, "-n", "second epoch")
    listed = client(kaggle, *versions, "list", REF, "--csv")

    assert "was created" in done.stdout, done.stderr
    assert [line.split(",")[0] for line in listed.stdout.splitlines()] == ["version", "2", "1"]
    variation = kaggle.models["me/plate-model"].variations["PY_TORCH/small"]
    assert (variation.licence, variation.overview) == ("Apache 2.0", "The small one")
    first, second = variation.versions
    assert kaggle.blob(first.files[0].sha256) == bytes(range(256))
    assert (second.notes, kaggle.blob(second.files[0].sha256)) == ("second epoch", b"trained on")


def test_model_version_is_listed_and_downloaded_once_it_is_processed(
    client, kaggle, model, tmp_path
):
    kaggle.processing = 1
    made(client, kaggle, model)

    versions = ["models", "variations", "versions"]
    listed = [client(kaggle, *versions, "files", f"{REF}/1", "--csv").stdout for _ in range(2)]
    got = ["-p", tmp_path / "got", "--untar"]
    done = client(kaggle, *versions, "download", f"{REF}/1", *got)

    assert ["weights.bin" in text for text in listed] == [False, True]
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "got/weights.bin").read_bytes() == bytes(range(256))


def test_model_of_a_taken_name_is_declined(client, kaggle, model):
    made(client, kaggle, model)

    again = client(kaggle, "models", "create", "-p", model)
    variation = client(kaggle, "models", "variations", "create", "-p", model)

    assert "is already in use" in again.stdout
    assert "already exists" in variation.stdout
    assert len(kaggle.models["me/plate-model"].variations["PY_TORCH/small"].versions) == 1


@pytest.mark.parametrize("token", [KEY, "another"], ids=["right", "wrong"])
def test_token_signs_in_as_its_owner_or_not_at_all(client, kaggle, token, tmp_path):
    env = kaggle.env | {"KAGGLE_API_TOKEN": token, "HOME": str(tmp_path), "PATH": "/usr/bin"}

    done = subprocess.run(
        [client.command, "datasets", "status", "me/nothing-here"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert ("me/nothing-here was not found" in done.stdout + done.stderr) == (token == KEY)
    assert {call.user for call in kaggle.calls} == {"me" if token == KEY else None}
    assert kaggle.calls[0].operation == "IntrospectToken"
    assert token not in repr(kaggle.calls) + repr(kaggle.to_plain())

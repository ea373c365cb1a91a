"""The ready-made protocols that push to Kaggle, run by the command as a user would."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stepline.testing.kaggle_standin import KaggleStandIn
from stepline.testing.loopback import Hold

pytestmark = pytest.mark.kaggle

ROOT = Path(__file__).parents[2]
KEY = "0123456789abcdef0123456789abcdef"
DATA = b"well,od\nA1,0.25\n"
SOURCE = b"print('plate')\n"

PUSHES = {
    "dataset": ("plate.csv", DATA, {"dataset": "plate-readings", "licence": "CC0-1.0"}),
    "kernel": ("report.py", SOURCE, {"kernel": "plate-report"}),
    "model": (
        "weights.bin",
        DATA,
        {"model": "plate-model", "framework": "onnx", "licence": "MIT", "overview": "Plates"},
    ),
}


@pytest.fixture
def kaggle():
    with KaggleStandIn(accounts={"me": KEY}) as service:
        yield service


@pytest.fixture
def command(push_client, kaggle, tmp_path):
    """Returns the command line of a push, and its environment."""
    environ = {**os.environ, "STEPLINE_CACHE_DIR": str(push_client("push-kaggle")), "KEY": KEY}

    def command(kind, *more):
        name, data, config = PUSHES[kind]
        (tmp_path / name).write_bytes(data)
        words = [sys.executable, "-m", "stepline", "run", f"protocols/push-{kind}-to-kaggle"]
        words += ["--input", tmp_path / name, "--out", tmp_path / "out", "--executor", "process"]
        words += ["--secret", "api_key=env:KEY", "--config", "username=me"]
        words += [word for item in config.items() for word in ("--config", "=".join(item))]
        words += [word for item in kaggle.env.items() for word in ("--env", "=".join(item))]
        return [*words, *more], environ

    return command


def run(command):
    words, environ = command
    done = subprocess.run(
        words, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    assert KEY not in done.stdout + done.stderr
    return done


def contents(kaggle):
    """Return what is there of each kind, as the bytes of each version."""
    return {
        "dataset": [
            [kaggle.blob(file.sha256) for file in version.files]
            for dataset in kaggle.datasets.values()
            for version in dataset.versions
        ],
        "kernel": [
            [version.source.rpartition("# [stepline")[0].encode()]
            for kernel in kaggle.kernels.values()
            for version in kernel.versions
        ],
        "model": [
            [kaggle.blob(each.sha256) for each in version.files if each.name == "weights.bin"]
            for model in kaggle.models.values()
            for variation in model.variations.values()
            for version in variation.versions
        ],
    }


@pytest.mark.parametrize("kind", PUSHES)
def test_protocol_pushes_its_input_file_and_keeps_the_receipt(command, kaggle, tmp_path, kind):
    done = run(command(kind))

    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(kaggle) == {each: [] for each in PUSHES} | {kind: [[PUSHES[kind][1]]]}
    (kept,) = (tmp_path / "out").rglob("*-receipt.json")
    receipt = json.loads(kept.read_text())
    assert (receipt["end"], receipt["verified_by"]) == ("verified", "bytes")
    assert receipt["remote"]["version"] == "1"
    assert KEY not in "".join(
        path.read_text(errors="replace") for path in (tmp_path / "out").rglob("*") if path.is_file()
    )


def test_protocol_whose_push_is_killed_is_retried_to_one_version(command, kaggle):
    kaggle.faults.append(hold := Hold("CreateDataset", before_effect=False, times=1))
    words, environ = command("dataset")
    with subprocess.Popen(words, env=environ, cwd=ROOT, start_new_session=True) as process:
        assert hold.reached.wait(60)
        os.killpg(process.pid, signal.SIGKILL)
    hold.release()

    done = run(command("dataset"))

    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(kaggle)["dataset"] == [[DATA]]

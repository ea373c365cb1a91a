"""What a verified push costs beyond the client that it uses, on 100 MB.

Both sides do the same with Kaggle's real client, in one task and in turn: upload a version, wait
until it is processed, and fetch it back. The push also stages, hashes, looks for secrets, looks
for what is there already, compares, and writes the receipt. The client is installed from the
package registry; the service is a stand-in on this machine.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Comparison, Recorder
from stepline.testing.kaggle_standin import KaggleStandIn

RUNS = 5
PAYLOAD = 100 * 10**6
KEY = "0123456789abcdef0123456789abcdef"
SCRIPT = Path(__file__).parents[1] / "task-scripts" / "push-kaggle"
MEASURE = """
import json, os, tempfile, time

from connection import Connection
from dataset import KaggleDataset
from stepline_sdk.push import push

ABOUT = {"title": "Benchmark", "subtitle": "", "description": "", "licence": "CC0-1.0",
         "keywords": [], "private": True}


def measure(input, context):
    with Connection("me", context.resolve_secret(input["key"])) as kaggle:
        kaggle.find("dataset", "me/benchmark")  # starts the client
        sides = [("bare", bare), ("pushed", pushed)]
        if input["turned"]:
            sides.reverse()
        return {name: side(kaggle, input["file"], context) for name, side in sides}


def bare(kaggle, pointer, context):
    path = context.read_file(pointer, form="download")["download"]
    began = time.perf_counter()
    folder = tempfile.mkdtemp()
    os.symlink(path, os.path.join(folder, "data.bin"))
    metadata = {"id": "me/plainly", "title": "Plainly", "licenses": [{"name": "CC0-1.0"}]}
    with open(os.path.join(folder, "dataset-metadata.json"), "w") as file:
        json.dump(metadata, file)
    there = kaggle.find("dataset", "me/plainly")
    if there is None:
        kaggle.ask("create_dataset", folder, False)
    else:
        kaggle.ask("create_version", folder, "next", "me/plainly", int(there["version"]))
    while kaggle.ask("dataset_status", "me/plainly") != "ready":
        time.sleep(0.1)
    version = kaggle.ask("dataset", "me/plainly")["version"]
    kaggle.ask("dataset_download", f"me/plainly/{version}", "data.bin", path + ".back")
    spent = time.perf_counter() - began
    os.unlink(path)
    os.unlink(path + ".back")
    return spent


def pushed(kaggle, pointer, context):
    began = time.perf_counter()
    destination = KaggleDataset(kaggle, "me/benchmark", about=ABOUT)
    receipt = push(context, destination, {"data.bin": pointer})
    if (receipt["end"], receipt["new"], receipt["verified_by"]) != ("verified", True, "bytes"):
        raise RuntimeError(f"it was not pushed as it should: {receipt}")
    return time.perf_counter() - began
"""


def run(recorder: Recorder) -> None:
    """Measure a push against the bare client."""
    with tempfile.TemporaryDirectory() as scratch, KaggleStandIn(accounts={"me": KEY}) as kaggle:
        script = Path(scratch, "task-scripts", "measure")
        shutil.copytree(SCRIPT, script)
        (script / "manifest.json").unlink()
        (script / "measuring.py").write_text(MEASURE)
        config = json.loads((script / "config.json").read_text())
        config["functions"] = [{"slug": "measure", "function": "measuring.measure"}]
        (script / "config.json").write_text(json.dumps(config))
        timed = [one(script, kaggle, number) for number in range(1 + RUNS)][1:]
    pairs = Comparison([each["pushed"] for each in timed], [each["bare"] for each in timed])
    recorder.record("push of 100 MB, verified / bare client", pairs, bar=1.1)


def one(script: Path, kaggle: KaggleStandIn, number: int) -> dict[str, float]:
    """Run both sides on a new payload; return the seconds of each."""
    payload = script.parent / "data.bin"
    payload.write_bytes(os.urandom(PAYLOAD))
    given = json.dumps({"key": "$( config.key )", "turned": bool(number % 2)})
    command = [sys.executable, "-m", "stepline", "call", str(script), "measure", "--json"]
    command += ["--file", f"file={payload}", "--input", given, "--secret", "key=env:KEY"]
    command += [word for name, value in kaggle.env.items() for word in ("--env", f"{name}={value}")]
    done = subprocess.run(
        command, env={**os.environ, "KEY": KEY}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the task failed: {done.stderr or done.stdout}")
    output: dict[str, float] = json.loads(done.stdout)["output"]
    return output

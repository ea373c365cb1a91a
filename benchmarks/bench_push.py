"""What a verified push costs beyond the client that it uses, on 100 MB.

The bare client is Kaggle's own command, run as a user would run it to upload a version. What a
push adds to such an upload is timed within a real push of the same payload: staging and hashing
with the receipt, and these with the search for secrets. Reading back is left out, which no bare
client does. The client is installed from the package registry. The service is a stand-in on this
machine, which takes the bytes as fast as memory does, and once as slowly as a line of 1 Gbit/s.
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
from stepline.testing.loopback.faults import Slow

RUNS = 5
PAYLOAD = 100 * 10**6
KEY = "0123456789abcdef0123456789abcdef"
SCRIPT = Path(__file__).parents[1] / "task-scripts" / "push-kaggle"
MEASURE = """
import json, os, subprocess, sys, tempfile, time

from connection import Connection
from dataset import KaggleDataset
from stepline_sdk.push import flow, push, receipts

ABOUT = {"title": "Benchmark", "subtitle": "", "description": "", "licence": "CC0-1.0",
         "keywords": [], "private": True}
KAGGLE = os.path.join(os.path.dirname(sys.executable), "kaggle")
spent = {}


def timed(name, function):
    def call(*arguments, **options):
        began = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - began
    return call


flow.stage = timed("staging", flow.stage)
flow.make_mark = timed("staging", flow.make_mark)
receipts.store = timed("receipt", receipts.store)
flow._Push._refuse_secrets = timed("secrets", flow._Push._refuse_secrets)


def measure(input, context):
    key = context.resolve_secret(input["key"])
    bare(key, input["file"], context, first=input["first"])
    with Connection("me", key) as kaggle:
        destination = KaggleDataset(kaggle, "me/benchmark", about=ABOUT)
        receipt = push(context, destination, {"data.bin": input["file"]})
    if (receipt["end"], receipt["new"], receipt["verified_by"]) != ("verified", True, "bytes"):
        raise RuntimeError(f"it was not pushed as it should: {receipt}")
    return spent


def bare(key, pointer, context, *, first):
    path = context.read_file(pointer, form="download")["download"]
    folder = tempfile.mkdtemp()
    os.symlink(path, os.path.join(folder, "data.bin"))
    metadata = {"id": "me/plainly", "title": "Plainly", "licenses": [{"name": "CC0-1.0"}]}
    with open(os.path.join(folder, "dataset-metadata.json"), "w") as file:
        json.dump(metadata, file)
    words = ["create", "-p", folder] if first else ["version", "-p", folder, "-m", "next"]
    env = {**os.environ, "KAGGLE_USERNAME": "me", "KAGGLE_KEY": key, "HOME": folder}
    began = time.perf_counter()
    done = subprocess.run([KAGGLE, "datasets", *words], env=env, capture_output=True, text=True)
    spent["bare"] = time.perf_counter() - began
    if done.returncode or "is being created" not in done.stdout:
        raise RuntimeError(f"the command failed: {done.stdout} {done.stderr}")
"""


def run(recorder: Recorder) -> None:
    """Measure what a push adds to an upload, over memory and over a fast line."""
    for line, rate in (("loopback", 0), ("1 Gbit/s", 125 * 10**6)):
        faults = [Slow("PutBlob", PAYLOAD / rate)] if rate else []
        timed = measured(faults)
        bare = [each["bare"] for each in timed]
        added = [each["bare"] + each["staging"] + each["receipt"] for each in timed]
        searched = [more + each["secrets"] for more, each in zip(added, timed, strict=True)]
        name = f"/ bare client, 100 MB, {line}"
        recorder.record(f"staged, hashed, receipt {name}", Comparison(added, bare), bar=1.1)
        recorder.record(f"secrets looked for too {name}", Comparison(searched, bare), bar=1.2)


def measured(faults: list[Slow]) -> list[dict[str, float]]:
    """Upload and push new payloads in turn; return the seconds of each one's parts."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        KaggleStandIn(accounts={"me": KEY}, faults=faults) as kaggle,
    ):
        script = Path(scratch, "task-scripts", "measure")
        shutil.copytree(SCRIPT, script)
        (script / "manifest.json").unlink()
        (script / "measuring.py").write_text(MEASURE)
        config = json.loads((script / "config.json").read_text())
        config["functions"] = [{"slug": "measure", "function": "measuring.measure"}]
        (script / "config.json").write_text(json.dumps(config))
        return [one(script, kaggle, number) for number in range(1 + RUNS)][1:]


def one(script: Path, kaggle: KaggleStandIn, number: int) -> dict[str, float]:
    """Upload and push a new payload; return the seconds of each part."""
    payload = script.parent / "data.bin"
    payload.write_bytes(os.urandom(PAYLOAD))
    given = json.dumps({"key": "$( config.key )", "first": number == 0})
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

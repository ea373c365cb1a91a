"""Run this example on its real input, against a stand-in for Kaggle, and check what arrived.

The task runs with a HOME of its own and reaches nothing but the stand-in, so no account is
needed and none is touched. ``--kaggle real`` is the explicit way to the real service.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from stepline.testing.kaggle_standin import KaggleStandIn

HERE = Path(__file__).parent
INPUT = HERE / "data" / "run42.json"
DEMO_KEY = "0123456789abcdef0123456789abcdef"


def run_protocol(folder: Path, *, user: str, key: str, home: Path, env: dict[str, str]) -> None:
    """Run the protocol by the command that a user would type, and show its output."""
    command = [sys.executable, "-m", "stepline", "run", "protocols/v3-push"]
    command += ["--input", "data/run42.json", "--task-scripts", "task-scripts"]
    command += ["--config", f"kaggle_username={user}", "--secret", "kaggle_api_key=env:KAGGLE_KEY"]
    command += ["--executor", "process", "--out", str(folder)]
    command += [word for name, value in env.items() for word in ("--env", f"{name}={value}")]
    shown = " ".join(command[3:]).replace(str(folder), "results/")
    print(f"$ stepline {shown}\n", flush=True)
    environ = {**os.environ, "HOME": str(home), "KAGGLE_KEY": key}
    environ.setdefault("STEPLINE_CACHE_DIR", str(Path.home() / ".cache" / "stepline"))
    done = subprocess.run(command, cwd=HERE, env=environ, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def show_results(folder: Path) -> bytes:
    """List the files that the steps made; return what the push must have sent."""
    print("\nFiles of the workflow:")
    for entry in json.loads((folder / "files.json").read_text()):
        if entry["path"]:
            labels = ", ".join(f"{label['name']}={label['value']}" for label in entry["labels"])
            print(f"  {entry['path']}  {entry['size']} bytes  [{labels}]")
    enriched = json.loads(next(folder.rglob("enriched.json")).read_text())
    return (json.dumps({"data": enriched["extra_data"]}, indent=2) + "\n").encode()


def show_received(kaggle: KaggleStandIn, expected: bytes) -> bool:
    """Print what the service received; return whether it is just what was to be sent."""
    print("\nWhat the service received:")
    for call in kaggle.calls:
        print(f"  {call.method} {call.path}")
    (dataset,) = kaggle.datasets.values()
    version = dataset.versions[-1]
    print(f"  dataset {dataset.owner}/{dataset.slug} version {version.number}: ", end="")
    print(", ".join(f"{file.name} ({file.size} bytes)" for file in version.files))
    received = [kaggle.blob(file.sha256) for file in version.files]
    sha256 = hashlib.sha256(expected).hexdigest()
    same = received == [expected]
    print(f"\nexpected sha256 {sha256}")
    print(f"received sha256 {' '.join(hashlib.sha256(each).hexdigest() for each in received)}")
    print("the same, byte for byte" if same else "NOT THE SAME")
    return same


def show_receipt(folder: Path) -> bool:
    """Print the receipt of the push; return whether it says that all is there."""
    receipt = json.loads(next(folder.rglob("*-receipt.json")).read_text())
    remote = receipt["remote"]
    print(f"\nThe receipt: {receipt['end']}")
    print(f"  {receipt['destination']['kind']} {remote['id']} version {remote['version']}")
    for file in receipt["files"]:
        print(f"  {file['name']} sha256 {file['sha256']}, compared by {file['verified_by']}")
    print(f"  {remote['url']}")
    return bool(receipt["end"] == "verified")


def push_to_stand_in() -> int:
    """Push to a stand-in on this machine."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        KaggleStandIn(accounts={"me": DEMO_KEY}) as kaggle,
    ):
        home = Path(scratch, "home")
        home.mkdir()
        results = Path(scratch, "results")
        run_protocol(results, user="me", key=DEMO_KEY, home=home, env=dict(kaggle.env))
        same = show_received(kaggle, show_results(results))
        return 0 if show_receipt(results) and same else 1


def push_to_kaggle() -> int:
    """Push to the real service, with the account in KAGGLE_USERNAME and KAGGLE_KEY."""
    missing = [name for name in ("KAGGLE_USERNAME", "KAGGLE_KEY") if not os.environ.get(name)]
    if missing:
        print(f"set {' and '.join(missing)} to push to the real Kaggle", file=sys.stderr)
        return 2
    user = os.environ["KAGGLE_USERNAME"]
    print(f"Pushing to the real Kaggle as {user}: private dataset {user}/exampledataset\n")
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch, "home")
        home.mkdir()
        results = Path(scratch, "results")
        run_protocol(results, user=user, key=os.environ["KAGGLE_KEY"], home=home, env={})
        show_results(results)
        return 0 if show_receipt(results) else 1


def main() -> int:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kaggle", choices=["stand-in", "real"], default="stand-in")
    arguments = parser.parse_args()
    return push_to_kaggle() if arguments.kaggle == "real" else push_to_stand_in()


if __name__ == "__main__":
    sys.exit(main())

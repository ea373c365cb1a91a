"""Upload the work folder to Kaggle, and believe only what the service says afterwards.

The client's exit code proves nothing: it is 0 also where the service answered with an error
or the name was taken.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

COMMAND_SECONDS = 300
ASKS = 60
SECONDS_BETWEEN_ASKS = 2.0

# Written by the client once the service has taken an upload; necessary, not sufficient.
TAKEN = "is being created"


class PushError(RuntimeError):
    """Kaggle does not show what was pushed; the message has its words."""


class State(NamedTuple):
    """What the service says of a dataset; version 0 stands for none."""

    version: int
    status: str


def push_folder(dataset: str, *, notes: str, log: Callable[[str], Any]) -> dict:
    """Make a dataset of the current folder, or a new version of it.

    Args:
        dataset: ``user/slug``, as in ``dataset-metadata.json``.
        notes: Kept by the service with a new version.
        log: Takes a line of text.

    Returns:
        Dataset, its new version number, and its URL.

    Raises:
        PushError: The service does not show a new version with the files sent.
    """
    service = connect()
    before = ask(service, dataset)
    arguments = ["version", "-p", ".", "-m", notes] if before.version else ["create", "-p", "."]
    words = run_client(arguments)
    log(words)
    if TAKEN not in words:
        raise PushError(f"Kaggle did not take {dataset}: {last_line(words)}")
    after = wait_until_ready(service, dataset, before=before)
    check_files(service, f"{dataset}/{after.version}")
    log(f"Kaggle has {dataset} version {after.version}")
    return {
        "dataset": dataset,
        "version": after.version,
        "url": f"https://www.kaggle.com/datasets/{dataset}/versions/{after.version}",
    }


def connect() -> Any:
    """Return the client's interface, signed in by what ``KAGGLE_*`` variables say."""
    # It wants to write a settings folder, and the home folder may be read-only.
    os.environ.setdefault("KAGGLE_CONFIG_DIR", tempfile.mkdtemp(prefix="kaggle-"))
    # Imported here because the import signs in.
    import kaggle

    return kaggle.api


def ask(service: Any, dataset: str) -> State:
    """Return the service's view of a dataset."""
    import requests

    try:
        answer = json.loads(service.dataset_status(dataset, format="json"))
    except requests.RequestException as error:
        response = error.response
        # The service says 403 of what one may not see, which covers what is not there.
        if response is not None and response.status_code in (403, 404):
            return State(0, "missing")
        raise PushError(f"Kaggle did not say how {dataset} is: {error}") from error
    return State(answer["current_version_number"] or 0, answer["status"])


def run_client(arguments: list[str]) -> str:
    """Run ``kaggle datasets`` and return what it printed, without progress bars."""
    done = subprocess.run(
        ["kaggle", "datasets", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        words = last_line(done.stderr or done.stdout)
        raise PushError(f"the kaggle command ended with {done.returncode}: {words}")
    return done.stdout.strip()


def last_line(words: str) -> str:
    """Return the line in which the client tells the outcome."""
    return words.strip().rpartition("\n")[2] or "it said nothing"


def wait_until_ready(service: Any, dataset: str, *, before: State) -> State:
    """Ask until a newer version is ready; for two minutes."""
    for _ in range(ASKS):
        state = ask(service, dataset)
        newer = state.version > before.version
        if newer and state.status == "ready":
            return state
        if newer and state.status in ("failed", "deleted"):
            raise PushError(f"Kaggle could not process {dataset}: it is {state.status}")
        time.sleep(SECONDS_BETWEEN_ASKS)
    raise PushError(f"Kaggle still shows version {state.version} of {dataset}, {state.status}")


def check_files(service: Any, version: str) -> None:
    """Compare names and sizes of the files at the service with those in this folder."""
    sent = {
        path.name: path.stat().st_size
        for path in Path().iterdir()
        if path.is_file() and path.name != "dataset-metadata.json"
    }
    listed = service.dataset_list_files(version)
    there = {file.name: file.total_bytes for file in listed.files or []}
    if there != sent:
        raise PushError(f"Kaggle shows other files in {version} than were sent: {there}")

"""A real ``stepline serve``, and a three-step protocol on it, for benchmarks."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

WAIT_S = 120.0
STEPS = ("first", "second", "third")
MAIN = """
import time

def first(input, context):
    print("at", time.time())
    with context.read_file(input["file"], form="file_obj")["file_obj"] as file:
        return {"text": file.read().decode()}

def second(input, context):
    return {"text": input["before"]["text"]}

def third(input, context):
    return {"text": input["before"]["text"]}
"""
PROTOCOL = """\
protocolSchema: v3
name: three
steps:
  - id: first
    task: {namespace: private-demo, slug: three, version: v1.0.0, function: first}
    input: {file: $( workflow.inputFile )}
  - id: second
    task: {namespace: private-demo, slug: three, version: v1.0.0, function: second}
    input: {before: $( steps.first.output )}
  - id: third
    task: {namespace: private-demo, slug: three, version: v1.0.0, function: third}
    input: {before: $( steps.second.output )}
"""
PIPELINE = """\
name: three
protocol: private-demo/three:v1.0.0
trigger: {all: [category is raw]}
"""


class Served:
    """A service that runs.

    Args:
        process: Its process.
        folder: Its folder; ``inbox`` in it is watched.
        started_s: Seconds from its start until it answered.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path, started_s: float) -> None:
        self.process = process
        self.inbox = folder / "inbox"
        self.started_s = started_s
        auth = json.loads((folder / "home" / "auth.json").read_text())
        headers = {"ts-auth-token": auth["auth_token"]}
        self.http = httpx.Client(base_url=auth["api_url"], headers=headers, timeout=WAIT_S)

    def deploy(self) -> None:
        """Publish the protocol and its task script, and set the pipeline."""
        config = {
            "language": "python",
            "runtime": f"python3.{sys.version_info.minor}",
            "functions": [{"slug": name, "function": f"main.{name}"} for name in STEPS],
        }
        script = {"main.py": MAIN, "config.json": json.dumps(config), "requirements.txt": ""}
        self._put("task-scripts", script)
        self._put("master-scripts", {"protocol.yml": PROTOCOL})
        self.http.put("pipelines", content=PIPELINE).raise_for_status()

    def completed(self) -> int:
        """Return how many workflows are completed."""
        return int(self._search(size=1)["totalCount"])

    def wait_completed(self, count: int) -> None:
        """Wait until so many workflows are completed.

        Raises:
            RuntimeError: They are not in time, or more are.
        """
        end = time.monotonic() + WAIT_S
        while (found := self.completed()) < count:
            if time.monotonic() > end:
                raise RuntimeError(f"{found} of {count} workflows are completed")
            time.sleep(0.1)
        if found > count:
            raise RuntimeError(f"{found} workflows are completed, not {count}")

    def outputs(self, count: int) -> list[dict[str, Any]]:
        """Return the newest workflows, whole."""
        found: list[dict[str, Any]] = []
        after = 0
        while len(found) < count:
            page = self._search(size=min(1000, count - len(found)), after=after)
            found += page["hits"]
            after = page["after"]
        return [self.http.get(f"workflow/{each['id']}").json() for each in found]

    @property
    def resident_bytes(self) -> int:
        """Resident size of the service's own process, bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(found[1]) * 1024 if found else 0

    def _search(self, **params: int) -> dict[str, Any]:
        given: dict[str, str | int] = {"filter": "completed"}
        given.update({name: value for name, value in params.items() if value})
        answer = self.http.get("workflow/search", params=given)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def _put(self, kind: str, files: dict[str, str]) -> None:
        archive = self.inbox.parent / "archive.zip"
        with zipfile.ZipFile(archive, "w") as made:
            for name, text in files.items():
                made.writestr(name, text)
        path = f"artifact/{kind}/private-demo/three/v1.0.0"
        answer = self.http.post(path, content=archive.read_bytes()).raise_for_status()
        build = answer.json()["build"]["id"]
        for _ in range(600):
            status = self.http.get(f"artifact/builds/{build}").json()["build"]["buildStatus"]
            if status != "IN_PROGRESS":
                break
            time.sleep(0.1)
        if status != "SUCCEEDED":
            raise RuntimeError(self.http.get(f"artifact/build-logs/{build}").text)


@contextmanager
def served(folder: Path, *words: str) -> Iterator[Served]:
    """Run a service in a folder, at a free port, until the context ends.

    Args:
        folder: Its folder; made if need be.
        words: Further words of the command.
    """
    (folder / "inbox").mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "stepline", "serve", "--port", "0", "--home", "home"]
    variables = {**os.environ, "STEPLINE_CACHE_DIR": str(folder.parent / "cache")}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed Stepline has its bytecode
    begin = time.perf_counter()
    process = subprocess.Popen(
        [*argv, "--watch", "inbox", *words],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        if "serves" not in process.stdout.readline():
            raise RuntimeError("the service did not start")
        service = Served(process, folder, time.perf_counter() - begin)
        with service.http:
            yield service
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)

"""``stepline serve`` as a process of its own in a folder, for tests to drive from outside."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.support.projects import Project

START_S = 30.0
STOP_S = 30.0
WAIT_S = 60.0
ENDED = ("completed", "failed", "cancelled")


class Served:
    """A service that listens at a free port of this machine; its home is ``.stepline``.

    Commands of the project find it without being told.

    Args:
        project: The project.
        words: Further words for ``stepline serve``.
        variables: Further environment variables of the service.
    """

    def __init__(self, project: Project, *words: object, **variables: str) -> None:
        self.project = project
        self.home = project.folder / ".stepline"
        self._log = project.folder / f"serve-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                project.command("serve", "--home", self.home, "--port", 0, *words),
                cwd=project.folder,
                env={**project.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_for(self._is_ready, within_s=START_S)
            self.auth = json.loads((self.home / "auth.json").read_text())
        except BaseException:
            self.kill()
            raise
        self.http = httpx.Client(
            base_url=self.auth["api_url"],
            headers={"ts-auth-token": self.auth["auth_token"]},
            timeout=60.0,
            trust_env=False,
        )

    @property
    def said(self) -> str:
        """Everything that the service has printed."""
        return self._log.read_text()

    def stop(self) -> int:
        """End it as an operator does, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it as a failing machine does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(STOP_S)
        if hasattr(self, "http"):
            self.http.close()

    def memory_kib(self) -> int:
        """Return the most memory that the service's process has had, KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [each for each in status.splitlines() if each.startswith("VmHWM:")]
        return int(line.split()[1])

    # Requests.

    @property
    def health(self) -> dict[str, Any]:
        """How the service says that it is."""
        return dict(self._content(self.http.get(self.http.base_url.copy_with(path="/health"))))

    def get(self, path: str, **params: Any) -> Any:
        """Return what a path holds."""
        return self._content(self.http.get(path, params=params))

    def post(self, path: str, body: Any = None, **params: Any) -> Any:
        """Return the answer to a request with a JSON body."""
        return self._content(self.http.post(path, json=body, params=params))

    def refused(self, method: str, path: str, status: int, **request: Any) -> str:
        """Send a request that must be refused in the one form; return the message."""
        answer = self.http.request(method, path, **request)
        body = answer.json()
        assert (answer.status_code, body["statusCode"]) == (status, status), answer.text
        assert set(body) <= {"statusCode", "error", "message", "problems"}
        return str(body["message"])

    def upload(self, path: str, content: bytes | str, **params: Any) -> dict[str, Any]:
        """Upload a file in one request, and return it."""
        data = content.encode() if isinstance(content, str) else content
        answer = self.http.post("/files", content=data, params={"path": path, **params})
        return dict(self._content(answer))

    def decisions(self, file_id: str) -> list[dict[str, Any]]:
        """Return what was decided about a file."""
        return list(self.get(f"/files/{file_id}/explain")["items"])

    def workflows(self, **params: Any) -> list[dict[str, Any]]:
        """Return workflows, oldest first."""
        hits = self.get("/workflow/search", size=1000, **params)["hits"]
        return list(reversed(hits))

    def ended(self, count: int, *, within_s: float = WAIT_S) -> list[dict[str, Any]]:
        """Wait until just so many workflows have ended; return them whole, oldest first."""

        def are_there() -> bool:
            found = self.workflows()
            return len(found) >= count and all(each["status"] in ENDED for each in found)

        wait_for(are_there, within_s=within_s)
        found = self.workflows()
        assert len(found) == count
        return [self.get(f"/workflow/{each['id']}") for each in found]

    def log(self, workflow_id: str, step: int = 0) -> list[str]:
        """Return the lines of a step's newest attempt."""
        lines = self.get(f"/workflow/{workflow_id}/log", step=step)["lines"]
        return [each["text"] for each in lines]

    # Commands.

    def run(self, *words: object, **variables: str) -> str:
        """Run a command that must succeed, and return what it prints."""
        result = self.project.stepline(*words, **variables)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def put_script(self, slug: str, main: str, functions: list[str], **extra: Any) -> None:
        """Publish a task script; `Project.task_script` has the arguments."""
        folder = self.project.task_script(slug, main, functions, **extra)
        self.run("put", "task-script", "private-demo", slug, "v1.0.0", folder)

    def put_protocol(self, slug: str, steps: list[Mapping[str, Any]], **fields: Any) -> None:
        """Publish a protocol; `Project.protocol` has the arguments."""
        folder = self.project.protocol(slug, steps, **fields)
        self.run("put", "protocol", "private-demo", slug, "v1.0.0", folder)

    def pipeline(self, name: str, **keys: Any) -> None:
        """Apply a pipeline of the protocol with its name, for RAW files unless told otherwise."""
        self.run("pipeline", "apply", self.pipeline_file(name, **keys))

    def pipeline_file(self, name: str, **keys: Any) -> Path:
        """Write a pipeline's file."""
        document = {
            "name": name,
            "protocol": f"private-demo/{name}:v1.0.0",
            "trigger": "category is raw",
            "retry": "off",
            **keys,
        }
        return self.project.write(f"pipelines/{name}.yml", json.dumps(document))

    def simple(self, slug: str, main: str, **keys: Any) -> None:
        """Publish one function ``work`` as a protocol of one step, and its pipeline."""
        self.put_script(slug, main, ["work"])
        file = {"file": "$( workflow.inputFile )"}
        self.put_protocol(slug, [{"id": "work", "function": f"{slug}/work", "input": file}])
        self.pipeline(slug, **keys)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"it ended: {self.said}"
        return "Stepline serves" in self.said

    @staticmethod
    def _content(answer: httpx.Response) -> Any:
        assert answer.status_code < 300, f"{answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None


def wait_for(
    condition: Callable[[], Any], *, within_s: float = WAIT_S, every_s: float = 0.02
) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: It does not in time.
    """
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(every_s)


def is_alive(pid: int) -> bool:
    """Return whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

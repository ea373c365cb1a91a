"""A service over HTTP on a free port of this machine, for tests to talk to."""

import json
import socket
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx

from stepline.app.archives import pack
from stepline.server.access import Access
from stepline.server.app import make_app
from stepline.server.listening import listen, serve, url_of
from tests.support.services import RunningService

EXAMPLE = Path(__file__).parents[2] / "examples" / "hello"
ANSWER_S = 30.0
ENDED = ("completed", "failed", "cancelled")
PIPELINE = """\
name: {name}
protocol: private-demo/hello:v1.0.0
trigger: {{all: [filePath starts with {prefix}]}}
"""


class Api(httpx.Client):
    """A client with the token.

    Args:
        url: Address of the service.
        token: The token.
        running: The service behind it.
    """

    def __init__(self, url: str, token: str, *, running: RunningService) -> None:
        headers = {"ts-auth-token": token}
        super().__init__(base_url=url, headers=headers, timeout=ANSWER_S, trust_env=False)
        self.url, self.token, self.running = url, token, running
        self.reports: list[str] = []

    def anybody(self) -> httpx.Client:
        """Return a client without a token."""
        return httpx.Client(base_url=self.url, timeout=ANSWER_S, trust_env=False)

    def deploy(self, kind: str, archive: bytes, *, slug: str = "hello", **params: Any) -> dict:
        """Deploy an archive as v1.0.0 and return its build at its end."""
        path = f"/v1/artifact/{kind}/private-demo/{slug}/v1.0.0"
        build_id = self.post(path, content=archive, params=params).json()["build"]["id"]
        return self.until(f"/v1/artifact/builds/{build_id}", lambda b: b["build"]["buildComplete"])

    def deploy_example(self) -> None:
        """Deploy the example's task script and protocol."""
        for kind, folder in (("task-scripts", "task-scripts"), ("master-scripts", "protocols")):
            build = self.deploy(kind, archive_of(EXAMPLE / folder / "hello"))
            assert build["build"]["buildStatus"] == "SUCCEEDED"

    def set_pipeline(self, name: str, *, prefix: str) -> dict[str, Any]:
        """Set a pipeline of the example for the files below a folder."""
        text = PIPELINE.format(name=name, prefix=prefix)
        return self.put("/v1/pipelines", content=text).json()

    def upload(self, path: str, content: bytes = b'{"name": "Ada"}', **params: Any) -> dict:
        """Store a file and return it."""
        answer = self.post("/v1/files", content=content, params={"path": path, **params})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def workflow_of(self, file_id: str) -> dict[str, Any]:
        """Wait for the end of the workflow that a file started, and return it."""
        decisions = self.get(f"/v1/files/{file_id}/explain").json()["items"]
        (workflow_id,) = filter(None, [each["workflowId"] for each in decisions])
        path = f"/v1/workflow/{workflow_id}"
        return self.until(path, lambda each: each["status"] in ENDED)

    def until(self, path: str, holds: Any) -> dict[str, Any]:
        """Ask until something holds of the answer, and return that."""
        end = time.monotonic() + ANSWER_S
        while not holds(found := self.get(path).json()):
            assert time.monotonic() < end, found
            time.sleep(0.02)
        return found


@contextmanager
def serving(folder: Path, *, cache: Path, access: type[Access] = Access) -> Iterator[Api]:
    """Serve a new service in a thread, and end it."""
    running = RunningService(folder / "home", cache=cache)
    decides, reports = access(running.service.state), []
    token = decides.ensure_token()
    stop, ready = threading.Event(), threading.Event()
    app = make_app(running.service, access=decides, report=reports.append)
    with listen("127.0.0.1", 0) as listening:
        options = {"ready": ready.set, "stop": stop}
        thread = threading.Thread(target=serve, args=(app, listening), kwargs=options)
        thread.start()
        try:
            assert ready.wait(ANSWER_S)
            with Api(url_of(listening), token, running=running) as api:
                api.reports = reports
                yield api
        finally:
            stop.set()
            thread.join(ANSWER_S)
            running.stop()
    assert not thread.is_alive()


def archive_of(folder: Path) -> bytes:
    """Return a folder as an archive."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch, "archive.zip")
        pack(folder, target)
        return target.read_bytes()


def archive_with(files: dict[str, str]) -> bytes:
    """Return an archive of texts by name."""
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return target.getvalue()


def raw_exchange(url: str, sent: bytes, *, wait_s: float = 10.0) -> bytes:
    """Send bytes as they are, and return all that comes back until the service is done."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=wait_s) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def error_of(answer: httpx.Response) -> str:
    """Return an error's message, once its form is right."""
    body = json.loads(answer.content)
    assert body["statusCode"] == answer.status_code
    assert body["error"] == answer.reason_phrase
    assert body["message"] != body["error"]
    assert "Traceback" not in answer.text
    return body["message"]

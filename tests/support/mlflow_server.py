"""MLflow's own server on loopback: SQLite for its records, a folder for the artifacts.

Artifacts travel through the server, so a client needs no rights where they are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.own_servers import free_port, running

# It imports for some seconds on a quiet machine, and much longer beside other tests.
_UP_S = 120.0
_ANSWER_S = 30.0
_ENVIRON = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # These take further processes and packages, and no push needs them.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


class MlflowServer:
    """A server that is up.

    Attributes:
        url: Its address, for MLFLOW_TRACKING_URI.
        folder: Where it keeps everything; artifacts are in ``artifacts``.
        pid: Its process, which leads a group of its own.
    """

    def __init__(self, url: str, folder: Path, pid: int) -> None:
        self.url = url
        self.folder = folder
        self.pid = pid

    @property
    def log(self) -> str:
        """All that it has printed, a line for each request."""
        return (self.folder / "log").read_text(errors="replace")

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return what a path below ``/api/2.0/mlflow`` answers, as a judge without the client."""
        return self._content("GET", path, params=query)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Send a JSON body to a path below ``/api/2.0/mlflow``; return the answer."""
        return self._content("POST", path, json=body)

    def experiment(self, name: str) -> dict[str, Any] | None:
        """Return an experiment by its name, or None."""
        found = self.post("experiments/search", filter=f"name = '{name}'", max_results=1)
        return next(iter(found.get("experiments", ())), None)

    def runs(self, experiment: str) -> list[dict[str, Any]]:
        """Return all runs of an experiment, deleted ones included, oldest first."""
        known = self.experiment(experiment)
        if known is None:
            return []
        ids = [known["experiment_id"]]
        found = self.post(
            "runs/search",
            experiment_ids=ids,
            max_results=1000,
            run_view_type="ALL",
            order_by=["attributes.start_time ASC"],
        )
        return list(found.get("runs", ()))

    def versions(self, model: str) -> list[dict[str, Any]]:
        """Return all versions of a registered model, oldest first."""
        found = self.get("model-versions/search", filter=f"name = '{model}'", max_results=1000)
        return sorted(found.get("model_versions", ()), key=lambda each: int(each["version"]))

    def aliases(self, model: str) -> dict[str, str]:
        """Return the version that each alias of a registered model stands for."""
        found = self.get("registered-models/get", name=model)["registered_model"]
        return {each["alias"]: each["version"] for each in found.get("aliases", ())}

    def artifact(self, run: dict[str, Any], path: str) -> bytes:
        """Return the bytes of a run's artifact, as they lie in the server's folder."""
        root = run["info"]["artifact_uri"].partition("mlflow-artifacts:/")[2]
        return (self.folder / "artifacts" / root / path).read_bytes()

    def _content(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer = httpx.request(
            method,
            f"{self.url}/api/2.0/mlflow/{path}",
            timeout=_ANSWER_S,
            trust_env=False,
            **request,
        )
        assert answer.is_success, answer.text
        return dict(answer.json())


@contextmanager
def serve_mlflow(python: Path, folder: Path) -> Iterator[MlflowServer]:
    """Run a server with nothing in it.

    Args:
        python: Interpreter of an environment that has it.
        folder: An empty folder.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        *(python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port),
        *("--backend-store-uri", f"sqlite:///{folder}/records.db"),
        *("--artifacts-destination", folder / "artifacts", "--workers", 1),
    ]
    # Some of what it starts are commands that it looks up by name.
    environ = {**_ENVIRON, "PATH": f"{python.parent}:/usr/bin:/bin"}
    options = {"probe": f"{url}/health", "folder": folder, "environ": environ, "up_s": _UP_S}
    with running(command, **options) as process:
        yield MlflowServer(url, folder, process.pid)

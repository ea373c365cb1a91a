"""Runs of an experiment.

A run carries the mark of its push from the moment it is there. It counts once it is FINISHED,
which is said after its last file: so what a killed push leaves is RUNNING, and the retry finds
it by its mark and completes it.
"""

import json
import posixpath
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mlflow.entities import Run
from mlflow.tracking.client import MlflowClient
from mlflow_client import Artifacts, address, is_there_already, place, server_errors
from said import LONGEST_TAG, Said

from stepline_sdk.push import Destination, Mark, Published, Refused, RemoteFile, Staged

PUSH, CONTENT = "stepline.push", "stepline.content"
FINISHED = "FINISHED"
# In addresses of files the client leaves them as they are, and the file gets another name.
_MANGLED = frozenset("?#%")


class RunsInExperiment(Destination):
    """Runs with files.

    Args:
        client: Of the server.
        experiment: Name of the experiment, made where there is none.
        said: Of the run beside its files.
        origin: Where the run comes from, for its tags.
        run_name: Name of the run; empty for one of the server's choice.
    """

    kind = "mlflow-run"
    listed = 100
    looks_back = 101  # the last of them is the push's own, wherever it is

    def __init__(
        self,
        client: MlflowClient,
        *,
        experiment: str,
        said: Said,
        origin: dict[str, Any],
        run_name: str = "",
    ) -> None:
        self._client = client
        self._experiment = experiment
        self._said = said
        self._origin_tags = _origin_tags(origin)
        self._run_name = run_name
        self._stores: dict[str, Artifacts] = {}
        self._key = ""
        self.about = said.plain()
        self.aside = {"experiment": experiment, "run": run_name, "tags": self._origin_tags}
        self.ref = place(client, experiment)

    def check(self, staged: Staged) -> None:
        """Refuse names of files that MLflow would keep under another name; note the mark."""
        for name in staged.files:
            if _MANGLED & set(name):
                raise Refused(f"{name}: MLflow cannot keep a file with ?, # or % in its name")
            folder, base = posixpath.split(name)
            beside = [other for other in staged.files if other.startswith(f"{folder}/")]
            if base == posixpath.basename(folder) and beside == [name]:
                raise Refused(f"{name}: MLflow does not list a file alone in a folder of its name")
        self._key = staged.mark.key

    def versions(self) -> Iterator[Published]:
        """Give the newest finished runs of pushes, and last the one of this push."""
        experiment = self._experiment_id()
        if experiment is None:
            return
        for where in ("LIKE '%'", f"= '{self._key}'"):
            query = f"tags.`{PUSH}` {where} and attributes.status = '{FINISHED}'"
            for run in self._search(experiment, query, most=self.listed):
                yield self._published(run)

    def upload(self, staged: Staged, newest: Published | None) -> None:
        """Make a run, or complete what an earlier try left of one."""
        self._write_run(staged, publishes=True)

    def is_ready(self, published: Published) -> bool:
        """Return whether the run is finished."""
        return self._run(published).info.status == FINISHED

    def files(self, published: Published) -> dict[str, RemoteFile]:
        """Return the artifacts of the run, whose params and metrics are compared here."""
        run = self._run(published)
        if run.info.lifecycle_stage != "active":
            raise Refused("the run was deleted in the meantime")
        differences = self._said.differences(run)
        if differences:
            raise Refused("; ".join(differences))
        self._stores[run.info.run_id] = Artifacts(self._client, run)
        with server_errors():
            return dict(self._stores[run.info.run_id].walk())

    def download(self, published: Published, name: str, path: str) -> None:
        """Fetch an artifact."""
        with server_errors(name):
            self._stores[published.token].fetch(name, path)

    def finish(self, published: Published) -> dict[str, Any]:
        """Close runs that killed tries of the same push have left open."""
        run = self._run(published)
        for other in self._of_push(run.info.experiment_id, run.data.tags[PUSH]):
            if other.info.status in ("RUNNING", "SCHEDULED"):
                with server_errors():
                    self._client.set_terminated(other.info.run_id, "KILLED")
        return {}

    def _run(self, published: Published) -> Run:
        with server_errors():
            return self._client.get_run(published.token)

    def _published(self, run: Run) -> Published:
        info, tags = run.info, run.data.tags
        base = address(self._client)
        return Published(
            self.ref,
            info.run_id,
            url=f"{base}/#/experiments/{info.experiment_id}/runs/{info.run_id}",
            mark=Mark(tags[PUSH], tags.get(CONTENT, "")),
            token=info.run_id,
        )

    def _experiment_id(self) -> str | None:
        """Return the experiment's id; None where there is none.

        Raises:
            Refused: It was deleted, which keeps its name taken.
        """
        with server_errors():
            found = self._client.get_experiment_by_name(self._experiment)
        if found is not None and found.lifecycle_stage != "active":
            raise Refused(f"the experiment '{self._experiment}' is deleted: restore or rename it")
        return None if found is None else str(found.experiment_id)

    def _made_experiment(self) -> str:
        found = self._experiment_id()
        if found is not None:
            return found
        try:
            with server_errors():
                return str(self._client.create_experiment(self._experiment))
        except Refused as error:
            found = self._experiment_id() if is_there_already(error) else None
            if found is None:
                raise
            return found  # somebody else was faster

    def _search(self, experiment: str, query: str, *, most: int = 100) -> list[Run]:
        with server_errors():
            found = self._client.search_runs(
                [experiment],
                query,
                max_results=most,
                order_by=["attributes.end_time DESC", "attributes.start_time DESC"],
            )
            return list(found)

    def _of_push(self, experiment: str, key: str) -> list[Run]:
        """Return all runs of one push, finished ones first."""
        found = self._search(experiment, f"tags.`{PUSH}` = '{key}'")
        return sorted(found, key=lambda run: run.info.status != FINISHED)

    def _write_run(self, staged: Staged, *, publishes: bool) -> Run:
        """Return the finished run of a push, made or completed.

        Args:
            staged: What it holds.
            publishes: Whether a finished run is what is published.
        """
        experiment = self._made_experiment()
        earlier = self._of_push(experiment, staged.mark.key)
        if earlier and earlier[0].info.status == FINISHED:
            return earlier[0]
        run = earlier[0] if earlier else self._new_run(experiment, staged)
        with self._failed_unless_written(run.info.run_id):
            for batch in self._said.batches(run.info.start_time):
                self._client.log_batch(run.info.run_id, **batch)
            Artifacts(self._client, run).write(staged.folder)
        with server_errors(publishes=publishes):
            self._client.set_terminated(run.info.run_id, FINISHED)
        return run

    def _new_run(self, experiment: str, staged: Staged) -> Run:
        tags = {
            **self._said.tags,
            **self._origin_tags,
            PUSH: staged.mark.key,
            CONTENT: staged.mark.content,
        }
        if staged.note:
            tags["mlflow.note.content"] = staged.note
        with server_errors():
            return self._client.create_run(
                experiment,
                start_time=int(time.time() * 1000),
                tags=tags,
                run_name=self._run_name or None,
            )

    @contextmanager
    def _failed_unless_written(self, run_id: str) -> Iterator[None]:
        """Say of a run whose files did not all arrive that it failed, if the server hears it."""
        try:
            with server_errors():
                yield
        except Exception:
            with suppress(Exception), server_errors():
                self._client.set_terminated(run_id, "FAILED")
            raise


def _origin_tags(origin: dict[str, Any]) -> dict[str, str]:
    tags = {}
    for name, value in origin.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if value and len(text) <= LONGEST_TAG:
            tags[f"stepline.{name}"] = text
    return tags

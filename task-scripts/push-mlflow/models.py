"""Versions of a registered model, each on top of a run with its files."""

import posixpath
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking.client import MlflowClient
from mlflow_client import address, is_missing, is_there_already, place, server_errors
from runs import CONTENT, PUSH, RunsInExperiment

from stepline_sdk.push import Mark, Published, Refused, Staged, TryAgain

_MODEL = re.compile(r"[^/:'\"`]+")
_ALIAS = re.compile(r"[A-Za-z0-9_-]{1,255}")
_NO_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)


class VersionsOfModel(RunsInExperiment):
    """Versions of a registered model.

    Args:
        client: Of the server.
        model: Name of the model, registered where there is none.
        alias: Pointed at the version once that is verified; empty for none.
        run: As `RunsInExperiment` takes it.
    """

    kind = "mlflow-model"

    def __init__(self, client: MlflowClient, *, model: str, alias: str = "", **run: Any) -> None:
        super().__init__(client, **run)
        if not _MODEL.fullmatch(model):
            raise ValueError(f"input 'model': '{model}' cannot be the name of a model at MLflow")
        if alias and (not _ALIAS.fullmatch(alias) or _NO_ALIAS.fullmatch(alias)):
            raise ValueError(f"input 'alias': '{alias}' cannot be an alias at MLflow")
        self._model = model
        self._alias = alias
        self.ref = place(client, model)
        self.aside = {**self.aside, "alias": alias}

    def versions(self) -> Iterator[Published]:
        """Give the newest versions of the model, those of others too, and last the push's own."""
        named = f"name='{self._model}'"
        for query in (named, f"{named} and tags.`{PUSH}` = '{self._key}'"):
            with server_errors():
                found = self._client.search_model_versions(
                    query, max_results=self.listed, order_by=["version_number DESC"]
                )
            for version in found:
                yield self._published_version(version)

    def upload(self, staged: Staged, newest: Published | None) -> None:
        """Make a run, and a version of the model that has the run's files."""
        run = self._write_run(staged, publishes=False)
        self._register()
        folder = _model_folder(staged)
        with server_errors(publishes=True):
            self._client.create_model_version(
                self._model,
                posixpath.join(run.info.artifact_uri, folder),
                run.info.run_id,
                tags={PUSH: staged.mark.key, CONTENT: staged.mark.content},
                description=staged.note or None,
                await_creation_for=0,
            )

    def is_ready(self, published: Published) -> bool:
        """Return whether the version can be used."""
        with server_errors():
            version = self._client.get_model_version(self._model, published.version)
        if version.status == "FAILED_REGISTRATION":
            raise Refused(version.status_message or version.status)
        return bool(version.status == "READY") and super().is_ready(published)

    def finish(self, published: Published) -> dict[str, Any]:
        """Point the alias at the version, unless it points at a newer one by now."""
        super().finish(published)
        if not self._alias:
            return {}
        if self._aliased() < int(published.version):
            with server_errors():
                self._client.set_registered_model_alias(self._model, self._alias, published.version)
        there = self._aliased()
        if there < int(published.version):
            raise TryAgain(f"the alias '{self._alias}' does not point at the version")
        return {"alias": self._alias, "alias_version": str(there)}

    def _published_version(self, version: ModelVersion) -> Published:
        tags = version.tags
        return Published(
            self._model,
            str(version.version),
            url=f"{address(self._client)}/#/models/{quote(self._model)}/versions/{version.version}",
            mark=Mark(tags[PUSH], tags.get(CONTENT, "")) if PUSH in tags else None,
            token=version.run_id,
        )

    def _aliased(self) -> int:
        """Return the version that the alias points at; 0 where it points at none."""
        with server_errors():
            aliases = self._client.get_registered_model(self._model).aliases
        return int(aliases.get(self._alias, 0))

    def _register(self) -> None:
        try:
            with server_errors():
                self._client.get_registered_model(self._model)
            return
        except Refused as error:
            if not is_missing(error):
                raise
        try:
            with server_errors():
                self._client.create_registered_model(self._model)
        except Refused as error:
            if not is_there_already(error):
                raise


def _model_folder(staged: Staged) -> str:
    """Return the folder of an MLflow model among the files, so that it can be loaded."""
    folders = [name for name in staged.files if posixpath.basename(name) == "MLmodel"]
    return posixpath.dirname(folders[0]) if len(folders) == 1 else ""

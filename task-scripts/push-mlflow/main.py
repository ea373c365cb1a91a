"""Push to an MLflow server: a run with files, or a new version of a registered model."""

from typing import Any

from mlflow_client import SignIn, connect
from models import VersionsOfModel
from runs import RunsInExperiment
from said import Said

from stepline_sdk.push import Destination, Given, push


def push_run(input: dict, context: Any) -> dict:
    """Publish files, params and metrics as a run; done only once they read back the same."""
    given = Given(input)
    destination = RunsInExperiment(_client(given, context), **_run(given, context))
    return _push(given, context, destination)


def push_model(input: dict, context: Any) -> dict:
    """Publish a run, and a version of a registered model on top; last, point an alias at it."""
    given = Given(input)
    destination = VersionsOfModel(
        _client(given, context),
        model=given.text("model"),
        alias=given.text("alias", ""),
        **_run(given, context),
    )
    return _push(given, context, destination)


def _client(given: Given, context: Any) -> Any:
    sign_in = SignIn(
        token=given.secret(context, "token", ""),
        username=given.text("username", ""),
        password=given.secret(context, "password", ""),
    )
    return connect(given.address("tracking_uri"), sign_in, allow_http=given.flag("allow_http"))


def _run(given: Given, context: Any) -> dict[str, Any]:
    """Return how runs are to be made."""
    pipeline = context.pipeline_config.get("pipelineName") or ""
    return {
        "experiment": given.text("experiment", "") or pipeline or given.text("experiment"),
        "run_name": given.text("run_name", ""),
        "said": Said(given.mapping("params"), given.mapping("metrics"), given.mapping("tags")),
        "origin": origin(context, given.files(context)),
    }


def _push(given: Given, context: Any, destination: Destination) -> dict:
    return push(
        context,
        destination,
        given.files(context),
        **given.options(),
    )


def origin(context: Any, files: dict[str, dict]) -> dict[str, Any]:
    """Return where a run comes from, for its tags: workflow, task script, versions of files."""
    keys = ("fileKey", "fileId", "version")
    given = getattr(context, "input_file", None) or {}
    found = {
        "workflow": context.workflow_id,
        "task_script": getattr(context, "task_script", ""),
        "input_file": {key: given[key] for key in keys if key in given},
        "files": {name: {key: file.get(key) for key in keys} for name, file in files.items()},
    }
    if getattr(context, "protocol_slug", ""):  # a local run's protocol has no name
        namespace = context.master_script_namespace
        found["protocol"] = f"{namespace}/{context.protocol_slug}:{context.protocol_version}"
    return found

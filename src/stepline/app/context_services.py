"""Calls of a Context for secrets and searches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepline.app.attempt_scope import AttemptScope
from stepline.app.call_errors import CallRefused
from stepline.errors import SettingsError
from stepline.model.values import Json
from stepline.ports.files import open_plain


def resolve_secret(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Return a secret's newest value, or None and why there is none."""
    reference = params.get("ssm")
    if not isinstance(reference, str):
        raise CallRefused("TypeError", f"the name of a secret is text, not {reference!r}")
    if scope.secrets is None:
        return {"value": None, "problem": f"there is no place for the secret '{reference}'"}
    try:
        found = scope.secrets.read(reference)
    except SettingsError as error:
        return {"value": None, "problem": str(error)}
    scope.reads.add("secret", name=reference, version=found.version)
    return {"value": found.value, "problem": ""}


def find_secrets(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Return which secrets of the workflow are in a file, whether the task may see them or not."""
    from stepline.app.secret_search import find_secrets as found_in

    path = scope.scratch_path(params.get("scratch"))
    values = _declared(scope)
    if not values:
        return []
    with open_plain(path) as file:
        return [{"secret": each.secret, "member": each.member} for each in found_in(file, values)]


def _declared(scope: AttemptScope) -> dict[str, str]:
    """Return the values of the secrets in the workflow's config, by config key.

    Raises:
        CallRefused: One cannot be read, so nobody can tell whether it is somewhere.
    """
    config = scope.values.get("pipelineConfig")
    if scope.secrets is None or not isinstance(config, dict):
        return {}
    values: dict[str, str] = {}
    for key, value in config.items():
        path = value.get("ssm") if isinstance(value, dict) else None
        if not isinstance(path, str):
            continue
        try:
            values[key] = scope.secrets.read(path).value
        except SettingsError as error:
            message = f"files cannot be searched for the secret '{key}': {error}"
            raise CallRefused("ValueError", message) from error
    return values


def search_eql(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Search the newest versions of all files that the attempt sees."""
    payload, query = params.get("payload"), params.get("query") or {}
    if isinstance(payload, dict):
        payload = {**_paging(query), **payload}
    answer = scope.files.search(payload)
    found: list[Json] = [hit["_id"] for hit in answer["hits"]["hits"]]
    scope.reads.add("search", payload=payload, fileIds=found)
    return answer


def _paging(query: Mapping[str, Any]) -> dict[str, Json]:
    """Return what the parameters of a search request add to its body."""
    try:
        return {name: int(query[name]) for name in ("size", "from") if name in query}
    except (TypeError, ValueError):
        raise CallRefused("ValueError", f"size and from are integers, not {query!r}") from None

"""Pipelines in the fields of the API.

Source:
    The published pipeline object, see docs/reference/pipelines.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping as Entries
from dataclasses import replace
from functools import partial
from typing import Any

from stepline.errors import Location, Problem
from stepline.model.pipeline import Pipeline, PipelineSpec, PipelineStatus, Schedule, Trigger
from stepline.model.pipeline_rules import MAX_PARALLEL, MAX_TIMEOUT_MINUTES, PRIORITIES
from stepline.model.values import Json
from stepline.model.workflow import RetryPolicy
from stepline.parsing.checker import Checker, join, kind_of
from stepline.parsing.json_tree import parse_json
from stepline.parsing.nodes import Mapping, Node, Scalar
from stepline.parsing.pipeline_conditions import condition_of_tree, tree_of
from stepline.parsing.pipeline_parts import (
    config_of,
    confinement_of,
    flag_of,
    labels_of,
    memory_of,
    name_of,
    protocol_part_of,
    retry_of,
    schedule_of,
    text_of,
)

_READERS: dict[str, Any] = {
    "name": ("name", name_of),
    "description": ("description", text_of),
    "labels": ("labels", labels_of),
    "pipelineConfig": ("config", config_of),
    "stepsConfig": (
        "steps_memory_mb",
        partial(memory_of, memory_key="memoryInMB", ignored=("runInLambda",)),
    ),
    "limits": ("confinement", confinement_of),
    "runOnDeleted": ("run_on_deleted", flag_of),
}
_NUMBERS = {
    "priority": ("priority", PRIORITIES),
    "maxParallelWorkflows": ("max_parallel", (0, MAX_PARALLEL)),
    "taskScriptTimeoutMins": ("timeout_s", (1, MAX_TIMEOUT_MINUTES)),
}
_PROTOCOL = ("masterScriptNamespace", "masterScriptSlug", "masterScriptVersion")
_TWINS = {"protocolSlug": "masterScriptSlug", "protocolVersion": "masterScriptVersion"}
_RETRY = ("baseDelaySeconds", "maxRetries")
_FIXED = {
    "artifactType": ("protocol",),
    "triggerType": ("custom", "sched"),
    "status": tuple(status.value for status in PipelineStatus),
}
_OTHERS = ("triggerCondition", "retryBehavior", "retryConfiguration")
_UNUSED = ("message", "standby", "inlineArtifact")
_OWN = ("id", "orgSlug", "createdAt", "updatedAt", "revision", "protocolSchema")

_FIELDS_OF_KEYS = {
    "protocol": "masterScriptSlug",
    "trigger": "triggerCondition",
    "config": "pipelineConfig",
    "steps": "stepsConfig",
}

FIELDS = (*_READERS, *_NUMBERS, *_PROTOCOL, *_TWINS, *_FIXED, *_OTHERS, *_UNUSED, *_OWN)
"""Every field that a request may hold; those that Stepline itself sets have no effect there."""


def spec_from_api(
    body: Entries[str, Any], *, path: str = "pipeline"
) -> tuple[PipelineSpec | None, tuple[Problem, ...]]:
    """Check a request's pipeline object.

    A field that is null counts as one that is left out.

    Args:
        body: The object, as JSON has it.
        path: What problems name in place of a file.

    Returns:
        What is set, None if there are errors; and all problems, without positions. Their
        ``source`` is the path inside the object.
    """
    try:
        text = json.dumps(body)
    except (ValueError, TypeError, RecursionError):
        what = "the pipeline is not JSON that can be read"
        return None, (Problem("not-json", what, Location(path)),)
    checker = Checker(parse_json(text, path=path))
    root = checker.root()
    spec = _spec(checker, root) if root is not None else None
    bare = tuple(replace(each, where=Location(path)) for each in checker.problems())
    return (None if checker.failed else spec), bare


def status_from_api(value: Json) -> PipelineStatus:
    """Return the status that a pipeline object's ``status`` means: null is enabled."""
    return PipelineStatus.ENABLED if value is None else PipelineStatus(value)


def api_path(source: str) -> str:
    """Return the path in the API's fields for one in a pipeline's file."""
    key = re.split(r"[.\[]", source, maxsplit=1)[0]
    return _FIELDS_OF_KEYS.get(key, key) + source[len(key) :]


def spec_to_api(
    spec: PipelineSpec, *, org: str = "local", environment: str = "local"
) -> dict[str, Any]:
    """Return what a person set, in the API's fields; `spec_from_api` takes it back.

    Args:
        spec: What is set.
        org: Organisation, which the references to secrets name.
        environment: Environment, which they name too.
    """
    name, _, version = spec.protocol.partition(":")
    namespace, _, slug = name.partition("/")
    kind, condition = _trigger_to_api(spec.trigger)
    prefix = f"/{environment}/{org}/org-secrets/"
    minutes = None if spec.timeout_s is None else -int(-spec.timeout_s // 60)
    return {
        "name": spec.name,
        "description": spec.description,
        "labels": [{"name": name, "value": value} for name, value in spec.labels.items()],
        **dict(zip(_PROTOCOL, (namespace, slug, version), strict=True)),
        "protocolSlug": slug,
        "protocolVersion": version,
        "protocolSchema": "v3",
        "artifactType": "protocol",
        "triggerType": kind,
        "triggerCondition": condition,
        "pipelineConfig": {key: _shown(each, prefix) for key, each in spec.config.items()},
        "stepsConfig": {step: {"memoryInMB": mb} for step, mb in spec.steps_memory_mb.items()},
        "limits": spec.confinement.to_plain(),
        "priority": spec.priority,
        "retryBehavior": spec.retry.behavior.value,
        "retryConfiguration": dict(
            zip(_RETRY, (spec.retry.base_delay_s, spec.retry.max_retries), strict=True)
        ),
        "maxParallelWorkflows": spec.max_parallel,
        "taskScriptTimeoutMins": minutes,
        "runOnDeleted": spec.run_on_deleted,
        "standby": None,
        "inlineArtifact": None,
    }


def pipeline_to_api(
    pipeline: Pipeline, *, org: str = "local", environment: str = "local"
) -> dict[str, Any]:
    """Return a stored pipeline in the API's fields, as `spec_to_api` does."""
    enabled = pipeline.status is PipelineStatus.ENABLED
    return {
        "id": pipeline.id,
        "orgSlug": org,
        "revision": pipeline.revision,
        "createdAt": pipeline.created_at,
        "updatedAt": pipeline.updated_at,
        "status": None if enabled else pipeline.status.value,
        **spec_to_api(pipeline.spec, org=org, environment=environment),
    }


def _spec(checker: Checker, root: Mapping) -> PipelineSpec | None:
    checker.keys(root, "", known=FIELDS, required=())
    given = {key: node for key, node in root.entries.items() if node.plain() is not None}
    _check_twins(given, checker)
    values: dict[str, Any] = {"trigger": _trigger(checker, given)}
    for key in ("name", *_PROTOCOL):
        if key not in given:
            checker.error("missing-key", f"the key `{key}` is missing", at=root, source=key)
    for key, (field, read) in _READERS.items():
        if key in given:
            values[field] = read(checker, given[key], source=key)
    for key, (field, (low, high)) in _NUMBERS.items():
        if key in given:
            values[field] = checker.integer(given[key], key, low=low, high=high)
    for key, among in _FIXED.items():
        checker.choice(given.get(key), key, among=among)
    _check_unused(checker, given)
    namespace, slug, version = (
        protocol_part_of(checker, given[key], source=key, index=index) if key in given else ""
        for index, key in enumerate(_PROTOCOL)
    )
    values["protocol"] = f"{namespace}/{slug}:{version}"
    values["retry"] = _retry(checker, given)
    if checker.failed:
        return None
    if "timeout_s" in values:
        values["timeout_s"] *= 60.0
    return PipelineSpec(**values)


def _check_twins(given: dict[str, Node], checker: Checker) -> None:
    """Let a deprecated field stand for its twin, and refuse it where the two differ."""
    for old, new in _TWINS.items():
        if old not in given:
            continue
        twin = given.setdefault(new, given[old])
        if twin.plain() != given[old].plain():
            what = f"`{old}` and `{new}` differ; `{old}` is the deprecated one"
            hint = f"leave `{old}` out"
            checker.error("conflict", what, at=given[old], hint=hint, source=old)


def _check_unused(checker: Checker, given: Entries[str, Node]) -> None:
    if "inlineArtifact" in given:
        hint = "publish the protocol and name it"
        what = "protocols inside of a pipeline are not supported"
        at = given["inlineArtifact"]
        checker.error("unsupported", what, at=at, hint=hint, source="inlineArtifact")
    for key in ("standby", "message"):
        if key in given and given[key].plain() not in ("", 0):
            checker.warning("no-effect", f"`{key}` has no effect", at=given[key], source=key)


def _trigger(checker: Checker, given: Entries[str, Node]) -> Trigger | None:
    source, kind = "triggerCondition", given.get("triggerType")
    node = given.get(source)
    if kind is None or kind.plain() != "sched":
        return condition_of_tree(checker, node or _nothing(), source=source)
    if isinstance(node, Mapping):
        return schedule_of(checker, node, source=source, zone_key="tz")
    found = kind_of(node) if node is not None else "missing"
    what = f"`{source}` must hold `cron` where triggerType is sched; it is {found}"
    checker.error("wrong-type", what, at=node or kind, source=source)
    return None


def _nothing() -> Mapping:
    return Mapping(line=1, column=1, start=0, end=0)


def _retry(checker: Checker, given: Entries[str, Node]) -> RetryPolicy:
    source = "retryConfiguration"
    inner = checker.mapping(given.get(source), source, known=_RETRY, required=())
    nodes = inner.entries if inner else {}
    delay, retries = ((_unless_null(nodes.get(key)), join(source, key)) for key in _RETRY)
    behavior = (given.get("retryBehavior"), "retryBehavior")
    return retry_of(checker, behavior, delay=delay, retries=retries)


def _unless_null(node: Node | None) -> Node | None:
    return None if isinstance(node, Scalar) and node.value is None else node


def _trigger_to_api(trigger: Trigger) -> tuple[str, dict[str, Json]]:
    if isinstance(trigger, Schedule):
        return "sched", {"cron": trigger.cron, "tz": trigger.zone}
    return "custom", tree_of(trigger)


def _shown(value: Json, prefix: str) -> Json:
    """Return a config value; a reference to a secret in the form that task scripts see."""
    if isinstance(value, dict) and value.keys() == {"secret"}:
        return {"ssm": f"{prefix}{value['secret']}", "secret": True}
    return value

"""Text of a pipeline file to its model.

Source:
    The pipeline rules, see docs/reference/pipelines.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stepline.model.pipeline import PipelineSpec, Trigger
from stepline.model.pipeline_rules import MAX_PARALLEL, MAX_TIMEOUT_MINUTES, PRIORITIES
from stepline.model.workflow import RetryPolicy
from stepline.parsing.checker import Checker, join
from stepline.parsing.nodes import Mapping, Node
from stepline.parsing.pipeline_conditions import condition_of
from stepline.parsing.pipeline_parts import (
    config_of,
    flag_of,
    labels_of,
    memory_of,
    name_of,
    protocol_of,
    retry_of,
    schedule_of,
    text_of,
)
from stepline.parsing.result import Parsed

_RETRY = ("behavior", "base_delay_s", "max_retries")


def parse_pipeline(text: str, *, path: str) -> Parsed[PipelineSpec]:
    """Parse and check a pipeline file.

    Args:
        text: The source, without byte order mark.
        path: Its path, for places. A name that ends in ``.json`` is read as JSON,
            anything else as YAML.

    Returns:
        The model, unless there are errors, and all problems. `Parsed.positions` has the
        places of the keys, the config values, the steps and the parts of the trigger.
    """
    if path.endswith(".json"):
        from stepline.parsing.json_tree import parse_json

        document = parse_json(text, path=path)
    else:
        from stepline.parsing.yaml_tree import parse_yaml

        document = parse_yaml(text, path=path)
    checker = Checker(document)
    root = checker.root()
    if root is None:
        return Parsed(None, checker.problems(), path)
    checker.keys(root, "", known=KEYS, required=_REQUIRED)
    values: dict[str, Any] = {}
    for key, (field, read) in _READERS.items():
        if key in root.entries:
            values[field] = read(checker, root.entries[key], source=key)
    spec = None if checker.failed else PipelineSpec(**values)
    return Parsed(spec, checker.problems(), path, _positions(root))


def _trigger(checker: Checker, node: Node, *, source: str) -> Trigger:
    if isinstance(node, Mapping) and ("cron" in node.entries or "zone" in node.entries):
        return schedule_of(checker, node, source=source, zone_key="zone")
    return condition_of(checker, node, source=source)


def _retry(checker: Checker, node: Node, *, source: str) -> RetryPolicy:
    """Return retry settings; a text is the behavior alone."""
    if not isinstance(node, Mapping):
        none = (None, source)
        return retry_of(checker, (node, source), delay=none, retries=none)
    checker.keys(node, source, known=_RETRY, required=())
    behavior, delay, retries = ((node.entries.get(key), join(source, key)) for key in _RETRY)
    return retry_of(checker, behavior, delay=delay, retries=retries)


def _priority(checker: Checker, node: Node, *, source: str) -> int:
    low, high = PRIORITIES
    return checker.integer(node, source, low=low, high=high) or low


def _parallel(checker: Checker, node: Node, *, source: str) -> int:
    return checker.integer(node, source, low=0, high=MAX_PARALLEL) or 0


def _timeout(checker: Checker, node: Node, *, source: str) -> float:
    """Return seconds for minutes."""
    minutes = checker.integer(node, source, low=1, high=MAX_TIMEOUT_MINUTES)
    return 60.0 * (minutes or 1)


def _steps(checker: Checker, node: Node, *, source: str) -> dict[str, int]:
    return memory_of(checker, node, source=source, memory_key="memory_mb")


_Reader = Callable[..., Any]

_READERS: dict[str, tuple[str, _Reader]] = {
    "name": ("name", name_of),
    "description": ("description", text_of),
    "labels": ("labels", labels_of),
    "protocol": ("protocol", protocol_of),
    "trigger": ("trigger", _trigger),
    "config": ("config", config_of),
    "priority": ("priority", _priority),
    "max_parallel_workflows": ("max_parallel", _parallel),
    "retry": ("retry", _retry),
    "timeout_minutes": ("timeout_s", _timeout),
    "steps": ("steps_memory_mb", _steps),
    "run_on_deleted": ("run_on_deleted", flag_of),
}
KEYS = tuple(_READERS)
_REQUIRED = ("name", "protocol", "trigger")


def _positions(root: Mapping) -> dict[str, tuple[int, int]]:
    found = {"": (root.line, root.column)}
    found.update({key: (node.line, node.column) for key, node in root.entries.items()})
    for key in ("config", "steps", "trigger", "retry"):
        section = root.entries.get(key)
        if isinstance(section, Mapping):
            for name, item in section.keys.items():
                found[join(key, name)] = (item.line, item.column)
    return found

"""Text of a pipeline file to its model.

Source:
    The pipeline rules, see docs/reference/pipelines.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from stepline.errors import Problem
from stepline.frozen import frozen
from stepline.model.pipeline import Condition, PipelineSpec, Trigger
from stepline.model.pipeline_rules import MAX_PARALLEL, MAX_TIMEOUT_MINUTES, PRIORITIES
from stepline.model.workflow import RetryPolicy
from stepline.parsing.checker import Checker, join
from stepline.parsing.nodes import Mapping, Node
from stepline.parsing.pipeline_conditions import condition_of
from stepline.parsing.pipeline_parts import (
    PROTOCOL_FORM,
    config_of,
    confinement_of,
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


@frozen
class PipelineFile:
    """A pipeline file that was read.

    Attributes:
        parsed: What `parse_pipeline` returns.
        draft: The model, with stand-ins for what is missing or wrong; None if the file holds
            no mapping.
    """

    parsed: Parsed[PipelineSpec]
    draft: PipelineSpec | None = None

    def with_problems(self, found: Iterable[Problem]) -> tuple[Problem, ...]:
        """Return all problems: those of the file, and those found elsewhere with their places.

        Args:
            found: Problems of the draft, by paths inside the file. One about a value that has
                a stand-in is left out.
        """
        parsed = self.parsed
        told = {each.source for each in parsed.errors}
        told.update(key for key in _REQUIRED if key not in parsed.positions)
        placed = [
            replace(each, where=parsed.locate(each.source))
            for each in found
            if not any(_is_in(source, each.source) for source in told)
        ]
        return tuple(sorted((*parsed.problems, *placed), key=_position))


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
    return read_pipeline(text, path=path).parsed


def read_pipeline(text: str, *, path: str) -> PipelineFile:
    """Parse and check a pipeline file, and keep what can be used of one with errors.

    Args:
        text: As for `parse_pipeline`.
        path: As for `parse_pipeline`.
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
        return PipelineFile(Parsed(None, checker.problems(), path))
    checker.keys(root, "", known=KEYS, required=())
    for key, hint in _REQUIRED.items():
        if key not in root.entries:
            checker.error("missing-key", f"the key `{key}` is missing", at=root, hint=hint)
    values: dict[str, Any] = {}
    for key, (field, read) in _READERS.items():
        if key in root.entries:
            values[field] = read(checker, root.entries[key], source=key)
    draft = PipelineSpec(**{"name": "", "protocol": "", "trigger": Condition(), **values})
    spec = None if checker.failed else draft
    return PipelineFile(Parsed(spec, checker.problems(), path, _positions(root)), draft)


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
    "limits": ("confinement", confinement_of),
    "run_on_deleted": ("run_on_deleted", flag_of),
}
KEYS = tuple(_READERS)
_REQUIRED = {
    "name": "write name: Push plate readings",
    "protocol": f"write protocol: {PROTOCOL_FORM}",
    "trigger": "write a condition, such as trigger: category is raw, or trigger: {} for none",
}


def _is_in(source: str, above: str) -> bool:
    """Tell whether a path is another one, or below it."""
    return source == above or source.startswith((f"{above}.", f"{above}["))


def _position(problem: Problem) -> tuple[int, int]:
    return (problem.where.line or sys.maxsize, problem.where.column or 0)


def _positions(root: Mapping) -> dict[str, tuple[int, int]]:
    """Return where values stand, or their keys if the value is on the lines below."""
    found = {"": (root.line, root.column)}
    for key, node in root.entries.items():
        at = node if node.line == root.keys[key].line else root.keys[key]
        found[key] = (at.line, at.column)
    for key in ("config", "steps", "trigger", "retry", "limits"):
        section = root.entries.get(key)
        if isinstance(section, Mapping):
            for name, item in section.keys.items():
                found[join(key, name)] = (item.line, item.column)
    found.update(_reference_positions(root.entries.get("config")))
    return found


def _reference_positions(config: Node | None) -> dict[str, tuple[int, int]]:
    """Return where the names of shared settings and secrets stand."""
    values = config.entries if isinstance(config, Mapping) else {}
    return {
        join("config", key, word): (node.line, node.column)
        for key, value in values.items()
        if isinstance(value, Mapping)
        for word, node in value.entries.items()
        if word in ("setting", "secret")
    }

"""Text of a protocol to its model.

Source:
    The protocol rules, see docs/reference/protocol.md.
"""

from __future__ import annotations

from stepline.model.protocol import Protocol, Step, TriggerType
from stepline.parsing.build import build_protocol
from stepline.parsing.checker import (
    IDENTIFIER,
    IDENTIFIER_RULE,
    NAMESPACE,
    NAMESPACE_RULE,
    Checker,
    join,
    kind_of,
)
from stepline.parsing.json_tree import parse_json
from stepline.parsing.nodes import Mapping, Node, Sequence
from stepline.parsing.protocol_config import check_config_items
from stepline.parsing.protocol_steps import check_steps, condition
from stepline.parsing.protocol_types import ProtocolDraft, check_expressions
from stepline.parsing.result import Parsed
from stepline.parsing.versions import Version

KEYS = (
    "protocolSchema",
    "name",
    "description",
    "icon",
    "type",
    "namespace",
    "slug",
    "version",
    "labels",
    "catalog_keys",
    "constants",
    "config",
    "constraints",
    "steps",
    "successWhen",
    "onFailed",
)
_TEXTS = ("name", "description", "icon")
_TRIGGERS = tuple(kind.value for kind in TriggerType)


def parse_protocol(text: str, *, path: str) -> Parsed[Protocol]:
    """Parse and check a protocol.

    Args:
        text: The source, without byte order mark.
        path: Its path, for places. A name that ends in ``.json`` is read as JSON,
            anything else as YAML.

    Returns:
        The model, unless there are errors, and all problems. `Parsed.positions` has
        the places of the config items, the steps and their tasks.
    """
    if path.endswith(".json"):
        document = parse_json(text, path=path)
    else:
        from stepline.parsing.yaml_tree import parse_yaml

        document = parse_yaml(text, path=path)
    checker = Checker(document)
    root = checker.root()
    if root is None or not _is_v3(checker, root):
        return Parsed(None, checker.problems(), path)
    draft = _checked(checker, root)
    problems, positions = checker.problems(), _positions(root)
    if checker.failed:
        sound = ((step, step.task) for step in draft.steps)
        steps = (Step(step.index, task, step.id) for step, task in sound if task is not None)
        return Parsed(None, problems, path, positions, tuple(steps))
    content = root.plain()
    assert isinstance(content, dict)
    return Parsed(build_protocol(content), problems, path, positions)


def _checked(checker: Checker, root: Mapping) -> ProtocolDraft:
    checker.keys(root, "", known=KEYS, required=("protocolSchema", "steps"))
    _check_identity(checker, root)
    draft = ProtocolDraft(
        document=root,
        config=check_config_items(checker, root.entries.get("config")),
        constants=_constants(checker, root.entries.get("constants")),
        steps=check_steps(checker, root.entries.get("steps")),
        triggers=_triggers(checker, root.entries.get("constraints")),
        success_when=_success_when(checker, root),
        on_failed=root.entries.get("onFailed"),
    )
    check_expressions(checker, draft)
    return draft


def _is_v3(checker: Checker, root: Mapping) -> bool:
    """Tell whether the rest can be checked: whether it is, or may be meant to be, v3."""
    node = root.entries.get("protocolSchema")
    found = node.plain() if node is not None else None
    if node is None or found == "v3":
        return True
    if found == "v2":
        hint = "write it anew as protocolSchema: v3, in a file protocol.yml"
        what = "protocols of schema v2 can be kept, but not run"
        checker.error("protocol-v2", what, at=node, hint=hint, source="protocolSchema")
        return False
    what = f"`protocolSchema` must be v3, not {found if isinstance(found, str) else kind_of(node)}"
    checker.error("unknown-schema", what, at=node, hint="write protocolSchema: v3")
    return True


def _check_identity(checker: Checker, root: Mapping) -> None:
    entries = root.entries
    for key in _TEXTS:
        checker.text(entries.get(key), key)
    if "type" in entries:
        checker.choice(entries["type"], "type", among=("protocol",))
    checker.pattern(
        entries.get("namespace"),
        "namespace",
        code="invalid-namespace",
        pattern=NAMESPACE,
        rule=NAMESPACE_RULE,
    )
    checker.pattern(
        entries.get("slug"),
        "slug",
        code="invalid-identifier",
        pattern=IDENTIFIER,
        rule=IDENTIFIER_RULE,
    )
    _exact_version(checker, entries.get("version"))
    checker.labels(entries.get("labels"), "labels")
    checker.texts(entries.get("catalog_keys"), "catalog_keys")


def _exact_version(checker: Checker, node: Node | None) -> None:
    text = checker.text(node, "version")
    if text is None or node is None or Version.parse(text) is not None:
        return
    what = f"`version` cannot be {text[:60]!r}"
    hint = "write vX.Y.Z, such as v1.0.0"
    checker.error("invalid-version", what, at=node, hint=hint, source="version")


def _constants(checker: Checker, node: Node | None) -> dict[str, Node]:
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        checker.wrong_type(node, "constants", expected="a mapping")
        return {}
    for key in node.entries:
        checker.identifier_key(node, key, source="constants")
    return node.entries


def _success_when(checker: Checker, root: Mapping) -> Node | None:
    node = root.entries.get("successWhen")
    return node if condition(checker, node, source="successWhen") else None


def _triggers(checker: Checker, node: Node | None) -> frozenset[TriggerType]:
    default = frozenset({TriggerType.FILE})
    trigger = _inner(checker, node, "constraints", key="trigger")
    kinds = _inner(checker, trigger, "constraints.trigger", key="type")
    if kinds is None:
        return default
    source = "constraints.trigger.type"
    nodes = kinds.items if isinstance(kinds, Sequence) else [kinds]
    if not nodes:
        hint = f"name {' or '.join(_TRIGGERS)}"
        checker.error("wrong-type", f"`{source}` is empty", at=kinds, hint=hint, source=source)
    found = [checker.choice(item, source, among=_TRIGGERS) for item in nodes]
    return frozenset(TriggerType(name) for name in found if name in _TRIGGERS) or default


def _inner(checker: Checker, node: Node | None, source: str, *, key: str) -> Node | None:
    """Return what a mapping holds under its only key with an effect."""
    if node is None:
        return None
    if not isinstance(node, Mapping):
        checker.wrong_type(node, source, expected="a mapping")
        return None
    checker.ignored(node, source, known=(key,))
    return node.entries.get(key)


def _positions(root: Mapping) -> dict[str, tuple[int, int]]:
    """Return the places that checks across files need."""
    found = {"": (root.line, root.column)}
    found.update({key: (node.line, node.column) for key, node in root.entries.items()})
    for key in ("config", "constants"):
        section = root.entries.get(key)
        if isinstance(section, Mapping):
            for name, item in section.keys.items():
                found[join(key, name)] = (item.line, item.column)
    steps = root.entries.get("steps")
    for index, step in enumerate(steps.items if isinstance(steps, Sequence) else ()):
        found[f"steps[{index}]"] = (step.line, step.column)
        task = step.entries.get("task") if isinstance(step, Mapping) else None
        if isinstance(task, Mapping):
            for name, value in task.entries.items():
                found[f"steps[{index}].task.{name}"] = (value.line, value.column)
    return found

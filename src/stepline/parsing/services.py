"""Text of a services.yml, which names what tests need beside them, to its model."""

from __future__ import annotations

import re

from stepline.model.image import ServiceSpec
from stepline.parsing.checker import Checker, join
from stepline.parsing.image_choices import reference_of
from stepline.parsing.nodes import Mapping, Node, Scalar
from stepline.parsing.result import Parsed
from stepline.parsing.yaml_tree import parse_yaml

KEYS = ("image", "env", "command", "user", "health", "volumes", "startWithinSec")
MAX_START_S = 600
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NAME_RULE = "a service is reached by its name: small letters, digits and hyphens"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VARIABLE_RULE = "a variable has letters, digits and underscores"
_PATH = re.compile(r"(?:/[^/\0]+)+")
_PATH_RULE = "write the full path of a folder in the service's image"


def parse_services(text: str, *, path: str) -> Parsed[tuple[ServiceSpec, ...]]:
    """Parse and check a services.yml.

    Args:
        text: The source.
        path: Its path, for places.
    """
    checker = Checker(parse_yaml(text, path=path))
    root = checker.root()
    found = _services(checker, root) if root is not None else ()
    return Parsed(None if checker.failed else found, checker.problems(), path)


def _services(checker: Checker, root: Mapping) -> tuple[ServiceSpec, ...]:
    found = []
    for name, item in root.entries.items():
        _check_key(checker, root, name, pattern=_NAME, rule=_NAME_RULE)
        node = checker.mapping(item, name, known=KEYS, required=("image", "health"))
        if node is not None:
            found.append(_service(checker, node, name))
    return tuple(found)


def _service(checker: Checker, node: Mapping, name: str) -> ServiceSpec:
    entries = node.entries
    within = entries.get("startWithinSec")
    seconds = checker.integer(within, join(name, "startWithinSec"), low=1, high=MAX_START_S)
    return ServiceSpec(
        name=name,
        image=reference_of(checker, entries.get("image"), source=join(name, "image")),
        environ=_environ(checker, entries.get("env"), join(name, "env")),
        command=_command(checker, entries.get("command"), join(name, "command")),
        user=checker.text(entries.get("user"), join(name, "user")) or "",
        health=_command(checker, entries.get("health"), join(name, "health")),
        volumes=_volumes(checker, entries.get("volumes"), join(name, "volumes")),
        start_within_s=seconds or ServiceSpec.start_within_s,
    )


def _environ(checker: Checker, node: Node | None, source: str) -> dict[str, str]:
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        checker.wrong_type(node, source, expected="a mapping")
        return {}
    found = {}
    for key, item in node.entries.items():
        _check_key(checker, node, key, pattern=_VARIABLE, rule=_VARIABLE_RULE)
        if (value := checker.text(item, join(source, key))) is not None:
            found[key] = value
    return found


def _command(checker: Checker, node: Node | None, source: str) -> tuple[str, ...]:
    """Return program and arguments; a text is for a shell."""
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return ("sh", "-c", node.value)
    words = [checker.text(item, path) for path, item in checker.items(node, source)]
    if node is not None and not words:
        what = f"`{source}` names nothing"
        hint = "write a command, as text for a shell or as a list"
        checker.error("empty-list", what, at=node, hint=hint, source=source)
    return tuple(word for word in words if word is not None)


def _volumes(checker: Checker, node: Node | None, source: str) -> tuple[str, ...]:
    found = [
        checker.pattern(item, path, code="invalid-path", pattern=_PATH, rule=_PATH_RULE)
        for path, item in checker.items(node, source)
    ]
    return tuple(path for path in found if path is not None)


def _check_key(
    checker: Checker, node: Mapping, key: str, *, pattern: re.Pattern[str], rule: str
) -> None:
    if not pattern.fullmatch(key):
        what = f"`{key[:60]}` is not a valid name"
        checker.error("invalid-name", what, at=node.keys[key], hint=rule, source=key)

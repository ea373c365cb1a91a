"""Text of a manifest.json to its model.

Source:
    The task-script rules, sections "manifest.json" and "Identity rules".
"""

from __future__ import annotations

import re

from stepline.model.task_script import Manifest
from stepline.parsing.checker import (
    IDENTIFIER,
    IDENTIFIER_RULE,
    NAMESPACE,
    NAMESPACE_RULE,
    Checker,
    shorten,
)
from stepline.parsing.json_tree import parse_json
from stepline.parsing.nodes import Mapping, Node, Sequence
from stepline.parsing.result import Parsed
from stepline.parsing.versions import Version, VersionRange

KEYS = (
    "type",
    "namespace",
    "slug",
    "version",
    "name",
    "description",
    "labels",
    "catalog_keys",
    "include",
    "exclude",
)
KINDS = (
    "task-script",
    "protocol",
    "ids",
    "schema",
    "tetraflow",
    "connector",
    "data-app",
    "master-script",
)
_REQUIRED = ("type", "namespace", "slug", "version")
_PRIVATE = re.compile(r"private-[0-9a-zA-Z]+(?:-[0-9a-zA-Z]+)*")


def parse_manifest(text: str, *, path: str) -> Parsed[Manifest]:
    """Parse and check a manifest.json.

    Args:
        text: The source, without byte order mark.
        path: Its path, for places.

    Returns:
        The model, unless there are errors, and all problems. `Parsed.positions` has
        the place of each key's value.
    """
    checker = Checker(parse_json(text, path=path))
    root = checker.root()
    value = _manifest(checker, root) if root is not None else None
    positions = _positions(root) if root is not None else {}
    problems = checker.problems()
    return Parsed(None if checker.failed else value, problems, path, positions)


def _manifest(checker: Checker, root: Mapping) -> Manifest | None:
    entries = root.entries
    checker.keys(root, "", known=entries, required=_REQUIRED)
    checker.labels(entries.get("labels"), "labels")
    checker.texts(entries.get("catalog_keys"), "catalog_keys")
    for key in ("include", "exclude"):
        _globs(checker, entries.get(key), key)
    kind = _kind(checker, entries.get("type"))
    namespace = _namespace(checker, entries.get("namespace"))
    slug = checker.pattern(
        entries.get("slug"),
        "slug",
        code="invalid-identifier",
        pattern=IDENTIFIER,
        rule=IDENTIFIER_RULE,
    )
    version = _version(checker, entries.get("version"))
    name = checker.text(entries.get("name"), "name")
    description = checker.text(entries.get("description"), "description")
    if kind is None or namespace is None or slug is None or version is None:
        return None
    return Manifest(
        kind=kind,
        namespace=namespace,
        slug=slug,
        version=version,
        name=name or "",
        description=description or "",
        extra={key: node.plain() for key, node in entries.items() if key not in KEYS[:6]},
    )


def _kind(checker: Checker, node: Node | None) -> str | None:
    kind = checker.text(node, "type")
    if kind is not None and kind not in KINDS and node is not None:
        what = f"{shorten(kind)!r} is not a kind of artifact that is known here"
        hint = f"kinds are {', '.join(KINDS[:3])} and others"
        checker.warning("unknown-kind", what, at=node, hint=hint, source="type")
    return kind


def _namespace(checker: Checker, node: Node | None) -> str | None:
    found = checker.pattern(
        node, "namespace", code="invalid-namespace", pattern=NAMESPACE, rule=NAMESPACE_RULE
    )
    if found is None or node is None or not found.startswith("private-"):
        return found
    return checker.pattern(
        node,
        "namespace",
        code="invalid-namespace",
        pattern=_PRIVATE,
        rule="after private- come letters and digits, in parts joined by single hyphens",
    )


def _version(checker: Checker, node: Node | None) -> str | None:
    """Return a version ``vX.Y.Z``; one without the ``v`` is read so, with a warning."""
    text = checker.text(node, "version")
    if text is None or node is None or Version.parse(text) is not None:
        return text
    meant = VersionRange.parse(text)
    shown = shorten(text)
    if meant is None or meant.exact is None:
        what = f"`version` cannot be {shown!r}"
        hint = "write vX.Y.Z, such as v1.0.0"
        checker.error("invalid-version", what, at=node, hint=hint, source="version")
        return None
    what = f"the version {shown!r} is read as {meant.exact}"
    hint = f"write {meant.exact}"
    checker.warning("version-form", what, at=node, hint=hint, source="version")
    return str(meant.exact)


def _globs(checker: Checker, node: Node | None, key: str) -> None:
    if node is None:
        return
    if isinstance(node, Sequence):
        checker.texts(node, key)
    else:
        what = f"`{key}` has no effect: it must be a list of patterns"
        checker.warning("no-effect", what, at=node, source=key)


def _positions(root: Mapping) -> dict[str, tuple[int, int]]:
    found = {key: (node.line, node.column) for key, node in root.entries.items()}
    return {"": (root.line, root.column), **found}

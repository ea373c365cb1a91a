"""What config.json says about a task script's image, under ``image``.

Source:
    The grammar of image references: OCI distribution specification, "Pulling manifests";
    names of Debian packages: Debian Policy Manual, section 5.6.1.
"""

from __future__ import annotations

import re

from stepline.model.task_script import ImageChoices
from stepline.parsing.checker import Checker, shorten
from stepline.parsing.nodes import Mapping, Node, Scalar, Sequence

KEYS = ("reference", "command", "groups", "system", "components", "maxSizeMB")
MAX_SIZE_MB = 100_000
BYTES_PER_MB = 1_000_000

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_NAME = rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_REFERENCE = re.compile(rf"({_NAME})(:{_TAG})?(@sha256:[0-9a-f]{{64}})?")
_LONGEST_REFERENCE = 400

_GROUP = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_GROUP_RULE = "write a name as pyproject.toml has it; `main` is the project's own dependencies"
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(?:=[A-Za-z0-9.+:~-]+)?")
_PACKAGE_RULE = (
    "write a package's name as in libgomp1, or with its version as in libgomp1=12.2.0-14"
)
_FOLDER = re.compile(r"(?!/)(?:(?!\.{1,2}(?:/|$))[^/\0\\]+/)*(?!\.{1,2}$)[^/\0\\]+/?")
_FOLDER_RULE = "write a folder within the task script's own, as in components/parser"


def image_choices(checker: Checker, node: Node | None) -> ImageChoices:
    """Check what stands under ``image``, and return it; a text alone is a reference."""
    if node is None:
        return ImageChoices()
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return ImageChoices(reference=reference_of(checker, node, source="image"))
    if not isinstance(node, Mapping):
        checker.wrong_type(node, "image", expected="text or a mapping")
        return ImageChoices()
    checker.keys(node, "image", known=KEYS, required=())
    return _from_mapping(checker, node.entries)


def reference_of(checker: Checker, node: Node | None, *, source: str) -> str:
    """Return a reference of an image with a tag or a digest; empty where it is none."""
    text = checker.text(node, source)
    if text is None or node is None:
        return ""
    match = _REFERENCE.fullmatch(text) if len(text) <= _LONGEST_REFERENCE else None
    if match is None:
        what = f"`{shorten(text)}` does not name an image of a registry"
        hint = _reference_hint(text)
        checker.error("invalid-reference", what, at=node, hint=hint, source=source)
        return ""
    if not match[2] and not match[3]:
        what = f"`{shorten(text)}` names neither a tag nor a digest"
        hint = f"write {shorten(text)}:TAG, or {shorten(text)}@sha256:… to keep it for good"
        checker.error("unpinned-reference", what, at=node, hint=hint, source=source)
        return ""
    return text


def image_positions(node: Node | None) -> dict[str, tuple[int, int]]:
    """Return the places of what stands under ``image``, as ``image.groups[0]``."""
    found = {}
    for key, value in node.entries.items() if isinstance(node, Mapping) else ():
        found[f"image.{key}"] = (value.line, value.column)
        for index, item in enumerate(value.items if isinstance(value, Sequence) else ()):
            found[f"image.{key}[{index}]"] = (item.line, item.column)
    return found


def _from_mapping(checker: Checker, entries: dict[str, Node]) -> ImageChoices:
    megabytes = checker.integer(
        entries.get("maxSizeMB"), "image.maxSizeMB", low=1, high=MAX_SIZE_MB
    )
    names = _Names(checker, entries)
    return ImageChoices(
        reference=reference_of(checker, entries.get("reference"), source="image.reference"),
        command=_command(checker, entries.get("command")),
        groups=names.of("groups", "invalid-group", pattern=_GROUP, rule=_GROUP_RULE),
        system=names.of("system", "invalid-package", pattern=_PACKAGE, rule=_PACKAGE_RULE),
        components=names.of("components", "invalid-folder", pattern=_FOLDER, rule=_FOLDER_RULE),
        max_bytes=megabytes * BYTES_PER_MB if megabytes is not None else None,
    )


def _reference_hint(text: str) -> str:
    """Return what is wrong with a reference, where that can be told."""
    name, at, digest = text.partition("@")
    if "://" in text:
        return f"leave out {text.partition('://')[0]}://"
    if text != text.strip() or any(char.isspace() for char in text):
        return "leave out the spaces"
    if at and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        return "a digest is sha256: and 64 digits of 0-9a-f"
    if name.lower() != name and _REFERENCE.fullmatch(name.lower() + at + digest):
        return f"names of repositories are written small: {shorten(name.lower())}"
    return "write REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@sha256:DIGEST"


def _command(checker: Checker, node: Node | None) -> tuple[str, ...]:
    if isinstance(node, Scalar) and isinstance(node.value, str):
        what = "`image.command` must be a list, not text"
        hint = 'write program and arguments apart: ["python3", "-m", "package"]'
        checker.error("wrong-type", what, at=node, hint=hint, source="image.command")
        return ()
    words = [checker.text(item, path) for path, item in checker.items(node, "image.command")]
    if isinstance(node, Sequence) and (not words or words[0] == ""):
        _refuse_empty(checker, node, "image.command")
    return tuple(word for word in words if word is not None)


def _refuse_empty(checker: Checker, node: Node, source: str) -> None:
    what = f"`{source}` names nothing"
    checker.error("empty-list", what, at=node, hint="name something, or remove it", source=source)


class _Names:
    """Reads the lists of names."""

    def __init__(self, checker: Checker, entries: dict[str, Node]) -> None:
        self._checker = checker
        self._entries = entries

    def of(self, key: str, code: str, *, pattern: re.Pattern[str], rule: str) -> tuple[str, ...]:
        """Return the names under a key, each once."""
        node, source = self._entries.get(key), f"image.{key}"
        if isinstance(node, Sequence) and not node.items:
            _refuse_empty(self._checker, node, source)
        taken: dict[str, Node] = {}
        for path, item in self._checker.items(node, source):
            name = self._checker.pattern(item, path, code=code, pattern=pattern, rule=rule)
            if name is not None:
                self._take(name.rstrip("/"), item, path=path, taken=taken)
        return tuple(taken)

    def _take(self, name: str, item: Node, *, path: str, taken: dict[str, Node]) -> None:
        first = taken.setdefault(name, item)
        if first is not item:
            what = f"`{shorten(name)}` is named twice"
            hint = f"it stands in line {first.line} already"
            self._checker.error("duplicate-name", what, at=item, hint=hint, source=path)

"""What metadata, tags, labels, names and keys of files may be.

Every function returns what is wrong, or an empty string or list. Sizes are those of
the published interface; segments of a key fit into a folder's file names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

ATTRIBUTES_BYTES = 1536
TAG_CHARACTERS = 128
LABEL_NAME_CHARACTERS = 128
LABEL_VALUE_CHARACTERS = 256
KEY_BYTES = 1024
SEGMENT_BYTES = 255

_METADATA_KEY = re.compile(r"[0-9a-zA-Z_+ -]+")
_METADATA_VALUE = re.compile(r"[0-9a-zA-Z_+.,/ -]+")
_TAG = re.compile(r"[0-9a-zA-Z_+./ -]+")
_LABEL = re.compile("[^\ufffe\uffff\n\r\\\\]+")
_SOURCE_TYPE = re.compile(r"[-a-z0-9]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def metadata_problem(key: str, value: str) -> str:
    """Return what is wrong with one metadata entry."""
    if not _METADATA_KEY.fullmatch(key):
        return f"metadata key {key!r} may hold letters, digits, spaces and - _ + only"
    if not _METADATA_VALUE.fullmatch(value):
        return f"metadata value {value!r} may hold letters, digits, spaces and - _ + . , / only"
    for text in (key, value):
        if text != text.strip():
            return f"metadata {text!r} cannot contain leading or trailing spaces"
    return ""


def tag_problem(tag: str) -> str:
    """Return what is wrong with one tag."""
    if len(tag) > TAG_CHARACTERS:
        return f"tag {tag!r} has over {TAG_CHARACTERS} characters"
    if not _TAG.fullmatch(tag):
        return f"tag {tag!r} may hold letters, digits, spaces and - _ + . / only"
    return ""


def attributes_problem(metadata: Mapping[str, str], tags: Iterable[str]) -> str:
    """Return whether metadata and tags of one file are too long together."""
    plain = sum(len(key) + len(value) + 2 for key, value in metadata.items())
    # Encoding makes at most three bytes of a character.
    size = len(",".join(tags)) + (plain if plain * 3 < ATTRIBUTES_BYTES else _encoded(metadata))
    if size < ATTRIBUTES_BYTES:
        return ""
    return f"metadata and tags have {size} bytes together, they must have under {ATTRIBUTES_BYTES}"


def label_problems(labels: Iterable[Any]) -> list[str]:
    """Return all that is wrong with labels, given as ``{name, value}``."""
    problems: list[str] = []
    seen: set[tuple[str, str]] = set()
    for label in labels:
        problem = _label_shape_problem(label) or _label_text_problem(label)
        pair = () if problem else (label["name"], label["value"])
        if pair in seen:
            problem = f"label {label['name']!r}: {label['value']!r} is given twice"
        if problem:
            problems.append(problem)
        else:
            seen.add((label["name"], label["value"]))
    return problems


def source_type_problem(source_type: str) -> str:
    """Return what is wrong with a source type."""
    if _SOURCE_TYPE.fullmatch(source_type):
        return ""
    return f"source type {source_type!r} may hold small letters, digits and - only"


def file_name_problem(name: str) -> str:
    """Return why a name, possibly with folders, cannot be that of a file in a folder."""
    parts = name.split("/")
    if name.startswith("/"):
        return "a path that starts with / leads out of the folder"
    if ".." in parts:
        return 'a path cannot contain ".."'
    if "." in parts or not parts[-1]:
        return "a path needs a file name at its end and no part that is a dot"
    if _CONTROL.search(name):
        return "a path cannot contain control characters"
    return ""


def key_problem(key: str) -> str:
    """Return why a key is too long."""
    try:
        sizes = [len(part.encode()) for part in key.split("/")]
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    if max(sizes) > SEGMENT_BYTES:
        return f"a part of it has over {SEGMENT_BYTES} bytes"
    if sum(sizes) + len(sizes) - 1 > KEY_BYTES:
        return f"it has over {KEY_BYTES} bytes"
    return ""


def _encoded(metadata: Mapping[str, str]) -> int:
    from urllib.parse import urlencode

    return len(urlencode(metadata))


def _label_shape_problem(label: Any) -> str:
    if not isinstance(label, dict):
        return f"a label is an object with name and value, not {label!r}"
    if missing := {"name", "value"} - label.keys():
        return f"label {label!r} lacks {' and '.join(sorted(missing))}"
    if extra := label.keys() - {"name", "value"}:
        return f"label {label!r} has more than name and value: {', '.join(sorted(extra))}"
    return ""


def _label_text_problem(label: Mapping[str, Any]) -> str:
    limits = {"name": LABEL_NAME_CHARACTERS, "value": LABEL_VALUE_CHARACTERS}
    for part, limit in limits.items():
        text = label[part]
        if not isinstance(text, str):
            return f"label {part} {text!r} is not text"
        if not _LABEL.fullmatch(text):
            return f"label {part} {text!r} is empty, or holds a line break or a backslash"
        if text != text.strip():
            return f"label {part} {text!r} has leading or trailing spaces"
        if len(text) > limit:
            return f"label {part} {text!r} has over {limit} characters"
    return ""

"""What an entry of ``files.json`` must be; folders of files may be written by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from stepline.model.file import FileCategory
from stepline.model.file_rules import (
    file_name_problem,
    key_problem,
    label_problems,
    metadata_problem,
    tag_problem,
)

_TEXTS = ("createdAt", "ids", "sourceFileId", "traceId")
_OBJECTS = ("file", "source", "metadata", "provenance")
_LISTS = ("tags", "labels")


def entry_problems(entry: Any, folder: str) -> list[str]:
    """Return all that is wrong with one entry of a folder's ``files.json``.

    Only ``path`` is needed; it is null for a file that is not in the folder.
    """
    if not isinstance(entry, dict):
        return ["a file is an object"]
    problems = list(_shape_problems(entry))
    return problems or [*_path_problems(entry, folder), *_value_problems(entry)]


def _shape_problems(entry: Mapping[str, Any]) -> Iterator[str]:
    if "path" not in entry:
        yield "it has no path"
    for names, kind, word in ((_TEXTS, str, "text"), (_OBJECTS, dict, "an object")):
        for name in names:
            if entry.get(name) is not None and not isinstance(entry[name], kind):
                yield f"{name} is not {word}"
    for name in _LISTS:
        if entry.get(name) is not None and not isinstance(entry[name], list):
            yield f"{name} is not a list"
    for part in ("file", "source", "metadata"):
        values = entry.get(part)
        for name, value in values.items() if isinstance(values, dict) else ():
            if not isinstance(value, str):
                yield f"{part}.{name} is not text"


def _path_problems(entry: Mapping[str, Any], folder: str) -> Iterator[str]:
    path = entry["path"]
    if path is None:
        return
    if not isinstance(path, str) or file_name_problem(path):
        yield f"path {path!r} is not that of a file in the folder"
    elif not os.path.isfile(os.path.join(folder, path)):
        yield f"there is no file '{path}'"


def _value_problems(entry: Mapping[str, Any]) -> Iterator[str]:
    categories = [category.value for category in FileCategory]
    if entry.get("category", "RAW") not in categories:
        yield f"category {entry['category']!r} is not one of {', '.join(categories)}"
    key = (entry.get("file") or {}).get("fileKey")
    if key and (problem := file_name_problem(key) or key_problem(key)):
        yield f"file.fileKey {key!r}: {problem}"
    for name, value in (entry.get("metadata") or {}).items():
        if problem := metadata_problem(name, value):
            yield problem
    for tag in entry.get("tags") or ():
        if problem := tag_problem(tag) if isinstance(tag, str) else f"tag {tag!r} is not text":
            yield problem
    yield from _label_problems(entry.get("labels") or [])


def _label_problems(labels: list[Any]) -> Iterator[str]:
    for label in labels:
        if isinstance(label, dict) and type(label.get("id", 0)) is not int:
            yield f"label id {label['id']!r} is not an integer"
    yield from label_problems(_without_id(label) for label in labels)


def _without_id(label: Any) -> Any:
    if not isinstance(label, dict):
        return label
    return {name: value for name, value in label.items() if name != "id"}

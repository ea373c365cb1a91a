"""What people call a file: its id, its path in the service, or where it lay on disk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from stepline.engine.fields import words
from stepline.model.file import FileRecord
from stepline.ports.state import FilesView, Page

_MOST = 10
_MOST_FOLDERS = 100
_SPECIAL = re.compile(r"([\\*?])")


def files_named(
    files: FilesView, name: str, *, org: str, disk: Sequence[str] = ()
) -> Page[FileRecord]:
    """Return the files that a name means; what is more exact goes before what is less.

    Args:
        files: What is stored.
        name: Id of a version; else path of a file, whose newest version is meant: with source
            id and category or without, or the end of it from some folder on.
        org: Slug of the organisation.
        disk: Absolute paths on disk of files that may have lain in a watched folder.

    Returns:
        At most ten of them, and how many there are.
    """
    path = re.sub("/{2,}", "/", name)
    keys = [f"{org}/{path}"] + ([path] if path.startswith(f"{org}/") else [])
    exact = files.get(name) or next(filter(None, map(files.latest, keys)), None)
    if exact is not None:
        return Page([exact], total=1, after=0)
    for query in _queries(path, disk):
        found = _search(files, query)
        if found.total:
            return found
    return Page([], total=0, after=0)


def _queries(path: str, disk: Sequence[str]) -> Iterator[dict[str, Any]]:
    yield {"term": {"filePath": path}}
    places = [place for each in disk for place in islice(_places(each), _MOST_FOLDERS)]
    if places:
        # By their paths they are found at once, by the name of their source they are not.
        paths = {"terms": {"filePath": [inside for _, inside in places]}}
        sources = [_place(folder, inside) for folder, inside in places]
        yield {"bool": {"filter": [paths, {"bool": {"should": sources}}]}}
    literal = _SPECIAL.sub(r"\\\1", path)
    ends: list[Any] = [{"wildcard": {"filePath": f"*/{literal}"}}]
    if words(path):
        # By its words it is found at once; then only those few files are looked at.
        ends.append({"match": {"filePath": {"query": path, "operator": "and"}}})
    yield {"bool": {"filter": ends}}


def _places(path: str) -> Iterator[tuple[str, str]]:
    """Yield each folder that a file may have been watched in, and its path inside that."""
    whole = PurePosixPath(path)
    for folder in whole.parents:
        yield str(folder), str(whole.relative_to(folder))


def _place(folder: str, inside: str) -> dict[str, Any]:
    # What comes of a watched folder has its path as the name of its source.
    clauses = [{"term": {"source.name": folder}}, {"term": {"filePath": inside}}]
    return {"bool": {"filter": clauses}}


def _search(files: FilesView, query: dict[str, Any]) -> Page[FileRecord]:
    hits = files.search({"query": query, "size": _MOST, "_source": False})["hits"]
    records = [files.get(hit["_id"]) for hit in hits["hits"]]
    return Page([each for each in records if each], total=hits["total"]["value"], after=0)

"""Files to models, through the cache of what was validated before.

On the path of every run: an unchanged file costs neither YAML nor JSON Schema.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from stepline.app.validation_cache import cached
from stepline.errors import Location, Problem
from stepline.model.protocol import Protocol
from stepline.model.task_script import Manifest, TaskScript
from stepline.parsing.build import build_protocol
from stepline.parsing.result import Parsed
from stepline.parsing.source import decode_source, too_large

T = TypeVar("T")

CONFIG_FILE = "config.json"
MANIFEST_FILE = "manifest.json"


def load_protocol(path: Path, cache_dir: Path) -> Parsed[Protocol]:
    """Return a protocol and its problems.

    Args:
        path: A protocol.yml, protocol.yaml or protocol.json.
        cache_dir: The folder of all caches.
    """

    def parse(text: str) -> Parsed[Protocol]:
        from stepline.parsing.protocol import parse_protocol

        return parse_protocol(text, path=str(path))

    # The name tells JSON from YAML, so it belongs to what is cached.
    kind = "protocol.json" if path.suffix == ".json" else "protocol.yml"
    return _load(
        path,
        kind,
        cache_dir=cache_dir,
        parse=parse,
        to_plain=lambda protocol: protocol.document,
        from_plain=build_protocol,
    )


def load_task_script(folder: Path, cache_dir: Path) -> Parsed[TaskScript]:
    """Return the model of a task script's config.json and its problems.

    Args:
        folder: The task script's folder.
        cache_dir: The folder of all caches.
    """
    return load_config(folder / CONFIG_FILE, cache_dir)


def load_config(path: Path, cache_dir: Path) -> Parsed[TaskScript]:
    """Return the model of a config.json, whatever its name is, and its problems.

    Args:
        path: The file.
        cache_dir: The folder of all caches.
    """

    def parse(text: str) -> Parsed[TaskScript]:
        from stepline.parsing.task_script import parse_config

        return parse_config(text, path=str(path))

    return _load(
        path,
        "config.json",
        cache_dir=cache_dir,
        parse=parse,
        to_plain=TaskScript.to_plain,
        from_plain=TaskScript.from_plain,
    )


def load_manifest(path: Path, cache_dir: Path) -> Parsed[Manifest]:
    """Return a manifest.json's model and its problems.

    Args:
        path: The file.
        cache_dir: The folder of all caches.
    """

    def parse(text: str) -> Parsed[Manifest]:
        from stepline.parsing.manifest import parse_manifest

        return parse_manifest(text, path=str(path))

    return _load(
        path,
        "manifest.json",
        cache_dir=cache_dir,
        parse=parse,
        to_plain=Manifest.to_plain,
        from_plain=Manifest.from_plain,
    )


def restore_protocol(document: Mapping[str, Any]) -> Protocol:
    """Return the model of a protocol's document that was found valid before."""
    return build_protocol(document)


def read_source(path: Path) -> tuple[bytes, Problem | None]:
    """Return a file's bytes, and the problem that kept them from being read.

    Only plain files within the size limit are opened.
    """
    where = Location(str(path))
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a plain file"
            return b"", Problem("not-a-file", f"this is {kind}", where)
        problem = too_large(str(path), status.st_size)
        return (b"", problem) if problem else (path.read_bytes(), None)
    except FileNotFoundError:
        return b"", Problem("no-such-file", "there is no such file", where)
    except OSError as error:
        reason = error.strerror or str(error)
        return b"", Problem("unreadable", f"the file cannot be read: {reason}", where)


def _load(
    path: Path,
    kind: str,
    *,
    cache_dir: Path,
    parse: Callable[[str], Parsed[T]],
    to_plain: Callable[[T], Any],
    from_plain: Callable[[Any], T],
) -> Parsed[T]:
    data, problem = read_source(path)
    if problem is not None:
        return Parsed(None, (problem,), str(path))

    def decode_and_parse() -> Parsed[T]:
        text, fault = decode_source(data, path=str(path))
        return Parsed(None, (fault,), str(path)) if fault else parse(text)

    return cached(
        kind,
        data,
        path=str(path),
        cache_dir=cache_dir,
        parse=decode_and_parse,
        to_plain=to_plain,
        from_plain=from_plain,
    )

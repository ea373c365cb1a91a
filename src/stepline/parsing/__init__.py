"""Text to model: protocols, config.json and manifest.json, with all their problems.

Nothing here reads files or knows the environment. Names are loaded on first use, so that
who only rebuilds a model from plain data pays for neither YAML nor JSON Schema.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stepline.parsing.build import build_protocol
    from stepline.parsing.manifest import parse_manifest
    from stepline.parsing.protocol import parse_protocol
    from stepline.parsing.references import (
        LocalTaskScript,
        check_references,
        match_task_script,
    )
    from stepline.parsing.render import render_problem
    from stepline.parsing.result import Parsed
    from stepline.parsing.source import MAX_BYTES, decode_source, too_large
    from stepline.parsing.task_script import parse_config
    from stepline.parsing.versions import Version, VersionRange, highest_match

__all__ = [
    "MAX_BYTES",
    "LocalTaskScript",
    "Parsed",
    "Version",
    "VersionRange",
    "build_protocol",
    "check_references",
    "decode_source",
    "highest_match",
    "match_task_script",
    "parse_config",
    "parse_manifest",
    "parse_protocol",
    "render_problem",
    "too_large",
]

_HOMES = {
    "MAX_BYTES": "source",
    "LocalTaskScript": "references",
    "Parsed": "result",
    "Version": "versions",
    "VersionRange": "versions",
    "build_protocol": "build",
    "check_references": "references",
    "decode_source": "source",
    "highest_match": "versions",
    "match_task_script": "references",
    "parse_config": "task_script",
    "parse_manifest": "manifest",
    "parse_protocol": "protocol",
    "render_problem": "render",
    "too_large": "source",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

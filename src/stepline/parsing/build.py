"""A valid protocol document to its model, without YAML, schemas or checks.

What was validated once, and kept as data, comes back this way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepline.model.protocol import (
    ConfigItem,
    ConfigType,
    Protocol,
    Step,
    StepOptions,
    TaskReference,
    TriggerType,
)
from stepline.model.values import Json

_TEXTS = ("name", "description", "namespace", "slug", "version")


def build_protocol(document: Mapping[str, Any]) -> Protocol:
    """Return the model of a protocol v3 document.

    Args:
        document: The document as the author wrote it, as data, and found valid before.
            The model shares its parts.
    """
    steps = enumerate(document["steps"])
    config = document.get("config", {})
    return Protocol(
        steps=tuple(_step(index, step) for index, step in steps),
        config={key: _config_item(key, item) for key, item in config.items()},
        constants=document.get("constants", {}),
        triggers=_triggers(document.get("constraints", {})),
        success_when=document.get("successWhen"),
        on_failed=document.get("onFailed"),
        has_on_failed="onFailed" in document,
        document=document,
        **{key: document[key] for key in _TEXTS if key in document},
    )


def _step(index: int, step: Mapping[str, Any]) -> Step:
    task = step["task"]
    return Step(
        index=index,
        task=TaskReference(
            namespace=task["namespace"],
            slug=task["slug"],
            version=_version(task["version"]),
            function=task["function"],
        ),
        id=step.get("id"),
        description=step.get("description", ""),
        condition=step.get("if", True),
        continue_on_error=step.get("continueOnError", False),
        input=step.get("input"),
        options=_options(step["options"]) if "options" in step else StepOptions(),
    )


def _options(options: Mapping[str, Json]) -> StepOptions:
    return StepOptions(
        memory_mb=options.get("memoryInMB"),
        timeout_s=options.get("timeoutInSec", options.get("timeontInSec")),
        run_in_lambda=options.get("runInLambda"),
        custom_windows_ami=options.get("customWindowsAMI"),
    )


def _version(text: str) -> str:
    """Return an exact version as ``vX.Y.Z``, and a range as it is."""
    if text.startswith("v") and text.count(".") == 2 and text[1:].replace(".", "").isdigit():
        return text
    from stepline.parsing.versions import Version, VersionRange

    if Version.parse(text) is not None:
        return text
    wanted = VersionRange.parse(text)
    return str(wanted.exact) if wanted is not None and wanted.exact is not None else text


def _config_item(key: str, item: Mapping[str, Any]) -> ConfigItem:
    return ConfigItem(
        key=key,
        label=item["label"],
        type=ConfigType(item["type"]),
        description=item.get("description", ""),
        required=item.get("required", False),
        default=item.get("default"),
    )


def _triggers(constraints: Mapping[str, Any]) -> frozenset[TriggerType]:
    kinds = constraints.get("trigger", {}).get("type", TriggerType.FILE.value)
    return frozenset(TriggerType(kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))

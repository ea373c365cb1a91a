"""What came of a replay, held against what was recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from stepline.app.replay import Recorded
from stepline.frozen import frozen
from stepline.model.values import Json
from stepline.ports.files import FileCatalog

_ENDED = ("success", "failed", "skipped")
# What tells one version of a file from another; its key and bytes are compared instead.
_OWN = ("fileId", "version", "bucket")


@frozen
class StepComparison:
    """How a step ended, compared with how it had ended.

    Attributes:
        name: The step.
        same: Whether its outcome is the same: status, value, or error.
        words: How it differs, or what both are.
    """

    name: str
    same: bool
    words: str

    def to_plain(self) -> dict[str, Json]:
        """Return the form of ``workflow.json``."""
        return {"step": self.name, "same": self.same, "words": self.words}


def compare(
    recorded: Recorded, record: Mapping[str, Any], *, catalog: FileCatalog
) -> list[StepComparison]:
    """Compare every step that was run again.

    Values are equal if their JSON is. Files that a step wrote have new ids in a replay:
    they are equal if their keys and bytes are.

    Args:
        recorded: What was run again.
        record: Record of the replay.
        catalog: Knows the files that it wrote.
    """
    before: dict[str, Json] = {
        info["fileId"]: [info["file"]["path"], info["sha256"]]
        for info in recorded.workflow["files"]
    }
    after: dict[str, Json] = {
        file_id: [found.pointer.key, found.sha256]
        for step in record["steps"]
        for attempt in step["attempts"]
        for file_id in attempt["written"]
        if (found := catalog.get(file_id)) is not None
    }
    return [
        _compare(
            {**recorded.task(index), "status": recorded.status(index)},
            step,
            before=before,
            after=after,
        )
        for index, step in zip(recorded.steps, record["steps"], strict=True)
    ]


def _compare(
    was: Mapping[str, Any],
    now: Mapping[str, Any],
    *,
    before: Mapping[str, Json],
    after: Mapping[str, Json],
) -> StepComparison:
    name, status = str(was["name"]), str(was["status"])
    if status not in _ENDED:
        return StepComparison(name, False, f"the recorded step had not ended: {status}")
    if status != now["status"]:
        words = f"recorded {_ended(was)}, here {_ended(now)}"
        return StepComparison(name, False, words)
    if status == "failed":
        old, new = _error(was["attempts"]), _error(now["attempts"])
        same = old == new
        return StepComparison(name, same, status if same else f"recorded {old}, here {new}")
    if status == "skipped":
        return StepComparison(name, True, status)
    same = _canonical(was["output"]["result"], before) == _canonical(now["output"], after)
    return StepComparison(name, same, status if same else "it returned another value")


def _ended(step: Mapping[str, Any]) -> str:
    if step["status"] == "failed" and step["attempts"]:
        return f"failed: {_error(step['attempts'])}"
    return str(step["status"])


def _error(attempts: Sequence[Mapping[str, Any]]) -> str:
    """Return why the newest attempt failed; nothing where there was none."""
    return f"{attempts[-1]['kind']}: {attempts[-1]['message']}" if attempts else ""


def _canonical(value: Any, written: Mapping[str, Json]) -> str:
    return json.dumps(_without_ids(value, written), sort_keys=True)


def _without_ids(value: Any, written: Mapping[str, Json]) -> Any:
    """Return a value in which written files stand by key and bytes instead of by ids."""
    if isinstance(value, dict):
        if value.get("fileId") in written and "fileKey" in value:
            rest = {name: each for name, each in value.items() if name not in _OWN}
            return {**rest, "bytes": written[value["fileId"]]}
        return {name: _without_ids(each, written) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_ids(each, written) for each in value]
    return written.get(value, value) if isinstance(value, str) else value

"""The receipt: what was pushed where, and how that is known."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime, timezone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from stepline_sdk.push.destination import Destination, Published
    from stepline_sdk.push.staging import Staged

SCHEMA = "stepline.push-receipt/1"
VERIFIED = "verified"
NOTHING_PUBLISHED = "nothing published"

_LONGEST_PLACE = 100

# Weakest first: a receipt says how its weakest file was compared.
HOW = ("size", "digest", "bytes")


def now() -> str:
    """Return the time, ISO 8601 in UTC."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def plan(destination: Destination, staged: Staged, *, started_at: str) -> dict[str, Any]:
    """Return the part of a receipt that is known before anything leaves.

    Raises:
        TypeError: The destination says something that is not JSON.
    """
    planned = {
        "schema": SCHEMA,
        "destination": {"kind": destination.kind, "ref": destination.ref},
        "about": dict(destination.about),
        "caveats": list(destination.caveats()),
        "key": staged.mark.key,
        "content": staged.mark.content,
        "files": [
            {"name": file.name, "size": file.size, "sha256": file.sha256}
            for file in staged.files.values()
        ],
        "started_at": started_at,
    }
    json.dumps(planned)
    return planned


def verified(
    planned: dict[str, Any],
    published: Published,
    *,
    how: dict[str, str],
    new: bool,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the receipt of a push that was verified.

    Args:
        planned: From `plan`.
        published: What is there.
        how: By file name: ``bytes``, ``digest`` or ``size`` were compared.
        new: Whether this push made the version, or an earlier try of it did.
        more: What else there is to say of the version, from ``Destination.finish``.
    """
    files = [dict(file, verified_by=how[file["name"]]) for file in planned["files"]]
    return dict(
        planned,
        end=VERIFIED,
        remote=dict(more, id=published.id, version=published.version, url=published.url),
        new=new,
        files=files,
        verified_by=min(how.values(), key=HOW.index),
        finished_at=now(),
    )


def store(context: Any, receipt: dict[str, Any]) -> dict[str, Any]:
    """Write a receipt as a file of the workflow, and return the pointer to it."""
    place = receipt["destination"]
    content = json.dumps(receipt, indent=2, sort_keys=False) + "\n"
    labels = [
        {"name": "push", "value": place["kind"]},
        {"name": "push-end", "value": receipt["end"]},
    ]
    has_input = isinstance(getattr(context, "input_file", None), dict)
    write = context.write_file if has_input else context.write_detached_file
    name = _file_name(place["kind"], place["ref"])
    pointer: dict[str, Any] = write(content, name, "PROCESSED", labels=labels)
    return pointer


def _file_name(kind: str, ref: str) -> str:
    place = re.sub(r"[^0-9A-Za-z._-]+", "-", "%s-%s" % (kind, ref)).strip("-.")
    if len(place) > _LONGEST_PLACE:
        digest = hashlib.sha256(ref.encode("utf-8")).hexdigest()
        place = "%s-%s" % (place[:_LONGEST_PLACE].rstrip("-."), digest[:8])
    return "%s-receipt.json" % place

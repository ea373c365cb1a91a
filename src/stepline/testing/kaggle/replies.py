"""What the answers to all operations have in common."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from typing import Any

from stepline.testing.loopback.messages import Reply, json_reply


def status_reply(status: str, *, ref: str = "", url: str = "", error: str = "") -> Reply:
    """Return what creating anything answers; both client lines need all keys."""
    return json_reply(
        {"ref": ref, "url": url, "status": status, "error": error, "invalidTags": [], "id": 0}
    )


def tokens(said: dict[str, Any]) -> list[str]:
    """Return the tokens of the uploads that a new version is made of."""
    return [str(file.get("token")) for file in said.get("files") or []]


def instant(moment: datetime) -> str:
    """Return a time as the service writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def bytes_reply(data: bytes, changed_at: datetime) -> Reply:
    """Return a file's bytes."""
    headers = {
        "Content-Type": "application/octet-stream",
        "Last-Modified": format_datetime(changed_at, usegmt=True),
    }
    return Reply(200, data, headers)

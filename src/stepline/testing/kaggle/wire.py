"""Requests and replies as values, and which operation a path asks for.

Source:
    kaggle 2.2.4 with kagglesdk 0.1.37, and kaggle 1.6.17, as they send them.
"""

from __future__ import annotations

import json
import re
from dataclasses import field
from typing import Any
from urllib.parse import unquote

from stepline.frozen import frozen

# Path segments; file names may hold slashes, all else may not.
_REF = r"(?P<ownerSlug>[^/]+)/(?P<datasetSlug>[^/]+)"
_FILE = r"(?P<fileName>.+)"

_CURRENT = re.compile(r"(?:/api)?/v1/(?:datasets\.DatasetApiService|blobs\.BlobApiService)/(\w+)")

_CURRENT_OPERATIONS = frozenset(
    {
        "CreateDataset",
        "CreateDatasetVersion",
        "DownloadDataset",
        "GetDataset",
        "GetDatasetMetadata",
        "GetDatasetStatus",
        "ListDatasetFiles",
        "StartBlobUpload",
    }
)

_OTHERS: tuple[tuple[str, re.Pattern[str], str, str], ...] = tuple(
    (method, re.compile(pattern), operation, line)
    for method, pattern, operation, line in (
        ("POST", "/api/v1/blobs/upload", "StartBlobUpload", "1.6"),
        ("POST", "/api/v1/datasets/create/new", "CreateDataset", "1.6"),
        ("POST", f"/api/v1/datasets/create/version/{_REF}", "CreateDatasetVersion", "1.6"),
        ("GET", f"/api/v1/datasets/status/{_REF}", "GetDatasetStatus", "1.6"),
        ("GET", f"/api/v1/datasets/list/{_REF}", "ListDatasetFiles", "1.6"),
        ("GET", f"/api/v1/datasets/metadata/{_REF}", "GetDatasetMetadata", "1.6"),
        ("GET", f"/api/v1/datasets/download/{_REF}(?:/{_FILE})?", "DownloadDataset", "1.6"),
        ("PUT", "/storage/uploads/(?P<token>[^/]+)", "PutBlob", ""),
        ("GET", f"/storage/files/{_REF}/(?P<number>\\d+)/{_FILE}", "GetFile", ""),
        ("GET", f"/storage/archives/{_REF}/(?P<number>\\d+)/[^/]+", "GetArchive", ""),
    )
)


@frozen
class Request:
    """One request, read to its end.

    Attributes:
        operation: As in `stepline.testing.kaggle.record.Call`.
        line: As in `stepline.testing.kaggle.record.Call`.
        method: HTTP method.
        base: Scheme and host by which the client reaches the stand-in.
        path: Path without host and query.
        parameters: What path, query and JSON body say, under the 2.2 line's names.
        user: User name of the credentials, or None.
        authorised: Whether the credentials are good.
        data: The body's bytes.
        content_range: That header's value, or an empty string.
    """

    operation: str
    line: str
    method: str
    base: str
    path: str
    parameters: dict[str, Any]
    user: str | None = None
    authorised: bool = False
    data: bytes = field(default=b"", repr=False)
    content_range: str = ""

    @property
    def ref(self) -> str:
        """Return ``owner/slug`` of the dataset that is asked for."""
        slug = self.parameters.get("datasetSlug") or self.parameters.get("slug")
        return f"{self.parameters.get('ownerSlug')}/{slug}"


@frozen
class Reply:
    """One answer; `status` is the HTTP status."""

    status: int
    data: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_reply(content: Any, *, status: int = 200) -> Reply:
    """Return an answer with a JSON body."""
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


def error_reply(status: int, message: str) -> Reply:
    """Return an error in the service's form, which both client lines print."""
    return json_reply({"code": status, "message": message}, status=status)


def identify(method: str, path: str) -> tuple[str, str, dict[str, Any]]:
    """Say what a request asks for.

    Returns:
        Operation, client line, and the parameters that the path holds. The operation is
        ``Unknown`` where the stand-in has no answer.
    """
    current = _CURRENT.fullmatch(path)
    if current and method == "POST" and current[1] in _CURRENT_OPERATIONS:
        return current[1], "2.2", {}
    for verb, pattern, operation, line in _OTHERS:
        match = pattern.fullmatch(path) if verb == method else None
        if match:
            found = {name: unquote(text) for name, text in match.groupdict().items() if text}
            return operation, line, found
    return "Unknown", "", {}

"""What a request says, and which operation a path asks for.

Source:
    kaggle 2.2.4 with kagglesdk 0.1.37, and kaggle 1.6.17, as they send them.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import Any
from urllib.parse import unquote

from stepline.frozen import frozen
from stepline.testing.loopback.messages import Request

# Path segments; file names may hold slashes, all else may not.
_REF = r"(?P<ownerSlug>[^/]+)/(?P<datasetSlug>[^/]+)"
_FILE = r"(?P<fileName>.+)"
_VARIATION = (
    r"(?P<ownerSlug>[^/]+)/(?P<modelSlug>[^/]+)/(?P<framework>[^/]+)/(?P<instanceSlug>[^/]+)"
)

_CURRENT = re.compile(r"(?:/api)?/v1/([\w.]+)/(\w+)")

_CURRENT_OPERATIONS = {
    "blobs.BlobApiService": frozenset({"StartBlobUpload"}),
    "datasets.DatasetApiService": frozenset(
        {
            "CreateDataset",
            "CreateDatasetVersion",
            "DownloadDataset",
            "GetDataset",
            "GetDatasetMetadata",
            "GetDatasetStatus",
            "ListDatasetFiles",
        }
    ),
    "kernels.KernelsApiService": frozenset({"GetKernel", "GetKernelSessionStatus", "SaveKernel"}),
    "models.ModelApiService": frozenset(
        {
            "CreateModel",
            "CreateModelInstance",
            "CreateModelInstanceVersion",
            "DownloadModelInstanceVersion",
            "GetModel",
            "GetModelInstance",
            "ListModelInstanceVersionFiles",
            "ListModelInstanceVersions",
        }
    ),
    "security.OAuthService": frozenset({"IntrospectToken"}),
}

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
        ("POST", "/api/v1/kernels/push", "SaveKernel", "1.6"),
        ("GET", "/api/v1/kernels/pull", "GetKernel", "1.6"),
        ("GET", "/api/v1/kernels/status", "GetKernelSessionStatus", "1.6"),
        ("PUT", "/storage/uploads/(?P<token>[^/]+)", "PutBlob", ""),
        ("GET", f"/storage/files/{_REF}/(?P<number>\\d+)/{_FILE}", "GetFile", ""),
        ("GET", f"/storage/archives/{_REF}/(?P<number>\\d+)/[^/]+", "GetArchive", ""),
        (
            "GET",
            f"/storage/models/{_VARIATION}/(?P<versionNumber>\\d+)/[^/]+",
            "GetModelArchive",
            "",
        ),
    )
)


# What it says is a credential, which is not kept; the same one is in its header.
_ABOUT_TOKENS = "IntrospectToken"


@frozen(kw_only=True)
class KaggleRequest(Request):
    """One request, with what its path, query and body say.

    Attributes:
        line: As in `stepline.testing.kaggle.record.KaggleCall`.
        parameters: As in `stepline.testing.kaggle.record.KaggleCall`.
        user: User name of the credentials, or None.
        authorised: Whether the credentials are good.
    """

    line: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    user: str | None = None
    authorised: bool = False

    @property
    def ref(self) -> str:
        """Return ``owner/slug`` of the dataset that is asked for."""
        slug = self.parameters.get("datasetSlug") or self.parameters.get("slug")
        return f"{self.parameters.get('ownerSlug')}/{slug}"

    @property
    def content_range(self) -> str:
        """Return that header's value, or an empty string."""
        return self.headers.get("content-range", "")


def identify(method: str, path: str) -> tuple[str, str, dict[str, Any]]:
    """Say what a request asks for.

    Returns:
        Operation, client line, and the parameters that the path holds. The operation is
        ``Unknown`` where the stand-in has no answer.
    """
    current = _CURRENT.fullmatch(path)
    if current and method == "POST" and current[2] in _CURRENT_OPERATIONS.get(current[1], ()):
        return current[2], "2.2", {}
    for verb, pattern, operation, line in _OTHERS:
        match = pattern.fullmatch(path) if verb == method else None
        if match:
            found = {name: unquote(text) for name, text in match.groupdict().items() if text}
            return operation, line, found
    return "Unknown", "", {}


def said(request: Request, *, line: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return what a request says, under the 2.2 line's names.

    Args:
        request: The request, read to its end.
        line: The client line that speaks its path; empty for bytes.
        found: What the path holds.

    Raises:
        RefusedError: 400; the body is not a JSON object.
    """
    if not line or request.operation == _ABOUT_TOKENS:
        return found
    body = request.json_object()
    # The 1.6 line names the dataset in the path and sends what 2.2 has under "body".
    if line == "1.6" and request.operation == "CreateDatasetVersion" and body:
        body = {"body": body}
    return found | request.arguments | body
